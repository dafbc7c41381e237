"""Where TURN credentials come from: a module for each kind of provider, named in the setting TURN_PROVIDERS."""
