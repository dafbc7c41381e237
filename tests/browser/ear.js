// Resolves when the loudest frequency of a MediaStream or AudioNode is the expected one, several times in a row.
async ([source, hertz, patience]) => {
  const start = performance.now();
  const patient = (what) => {
    if (performance.now() - start > patience) throw new Error(`${hertz} Hz was not heard from ${source}: ${what}`);
  };
  const thing = await (async () => {
    for (;;) {
      const found = eval(source);
      if (found) return found;
      patient("there is no such thing");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const context = thing.context ?? new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  (thing instanceof MediaStream ? context.createMediaStreamSource(thing) : thing).connect(analyser);
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  for (let times = 0; times < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    analyser.getFloatFrequencyData(spectrum);
    const loudest = spectrum.reduce((best, level, bin) => (level > spectrum[best] ? bin : best), 1);
    const heard = (loudest * context.sampleRate) / analyser.fftSize;
    times = spectrum[loudest] > -60 && Math.abs(heard - hertz) < 15 ? times + 1 : 0;
    patient(`${heard.toFixed()} Hz, ${spectrum[loudest].toFixed()} dB, ${context.state}`);
  }
}
