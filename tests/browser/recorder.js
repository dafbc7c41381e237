// Records [seconds, loudness of the microphone, loudness of the stream] every 128 samples, both on one clock.
async () => {
  const processor = `registerProcessor("loudness", class extends AudioWorkletProcessor {
    process(inputs) {
      const loudness = ([samples]) => samples ? Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length) : 0;
      this.port.postMessage([currentTime, ...inputs.map(loudness)]);
      return true;
    }
  })`;
  const context = new AudioContext();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([processor], { type: "text/javascript" })));
  const node = new AudioWorkletNode(context, "loudness", { numberOfInputs: 2 });
  window.recorded = [];
  node.port.onmessage = ({ data }) => window.recorded.push(data);
  const { outgoing, incoming } = window.streamPage;
  context.createMediaStreamSource(outgoing).connect(node, 0, 0);
  context.createMediaStreamSource(incoming).connect(node, 0, 1);
  node.connect(context.destination);
}
