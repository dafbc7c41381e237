// Records what the stream plays, from now on: window.tape() gives [sample rate, int16 samples in base64].
async () => {
  const processor = `registerProcessor("tape", class extends AudioWorkletProcessor {
    process([[samples]]) {
      if (samples) this.port.postMessage(samples.slice());
      return true;
    }
  })`;
  const context = new AudioContext();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([processor], { type: "text/javascript" })));
  const node = new AudioWorkletNode(context, "tape");
  const parts = [];
  node.port.onmessage = ({ data }) => parts.push(data);
  context.createMediaStreamSource(window.streamPage.incoming).connect(node);
  node.connect(context.destination);
  window.tape = () => {
    const samples = parts.flatMap((part) => [...part]).map((x) => Math.max(-1, Math.min(1, x)) * 32767);
    const bytes = new Uint8Array(Int16Array.from(samples).buffer);
    let text = "";
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
    return [context.sampleRate, btoa(text)];
  };
}
