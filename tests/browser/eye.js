// Whether a test holds for what the stream's picture shows now.
(test) => {
  const video = document.querySelector("video.player");
  if (!video?.videoWidth) return false;
  const canvas = new OffscreenCanvas(16, 16);
  const drawing = canvas.getContext("2d");
  drawing.drawImage(video, 0, 0, 16, 16);
  const colour = (x, y) => [...drawing.getImageData(x, y, 1, 1).data.slice(0, 3)];
  const [top, bottom, all] = [colour(8, 2), colour(2, 13), drawing.getImageData(0, 0, 16, 16).data.join()];
  const saturation = (rgb) => Math.max(...rgb) - Math.min(...rgb);
  window.lastSeen = { top, bottom, width: video.videoWidth, height: video.videoHeight };
  return Boolean(new Function("top", "bottom", "all", "saturation", `return ${test}`)(top, bottom, all, saturation));
}
