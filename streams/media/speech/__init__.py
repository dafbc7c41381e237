"""Speech on the device: recognition and synthesis, and the engines that do them."""
