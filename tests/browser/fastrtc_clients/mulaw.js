/** G.711 mu-law of samples between -1 and 1. */
const mulaw = {
  encode(samples) {
    return Uint8Array.from(samples, (sample) => {
      const sign = sample < 0 ? 0x80 : 0;
      const magnitude = Math.min(Math.round(Math.abs(sample) * 32768), 32635) + 132;
      const exponent = Math.floor(Math.log2(magnitude)) - 7;
      const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
      return ~(sign | (exponent << 4) | mantissa) & 0xff;
    });
  },
  decode(bytes) {
    return Float32Array.from(bytes, (byte) => {
      const code = ~byte & 0xff;
      const magnitude = ((((code & 0x0f) << 3) + 132) << ((code >> 4) & 7)) - 132;
      return (code & 0x80 ? -magnitude : magnitude) / 32768;
    });
  },
};
