// The network in WebAssembly, and what stands before and after it.
import * as ort from "./ort.wasm.min.mjs";

const LONG_SIDE = 512;
const STRIDE = 32;

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new URL("model.onnx", import.meta.url).href, {
  executionProviders: ["wasm"],
});
postMessage({ ready: true });

onmessage = async ({ data: { photo } }) => {
  const started = performance.now();
  try {
    const { alpha, coverage } = await matte(photo);
    const cutout = await cleaned(photo, alpha).transferToImageBitmap();
    postMessage({ cutout, coverage, milliseconds: performance.now() - started }, [cutout]);
  } catch (error) {
    postMessage({ error: `The photo could not be processed: ${error.message}` });
  }
};

function canvasOf(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  return context;
}

// Alpha as a canvas of the network's size that is white and as opaque as the subject, and its mean.
async function matte(photo) {
  const scale = LONG_SIDE / Math.max(photo.width, photo.height);
  const [width, height] = [photo.width, photo.height].map(
    (side) => Math.max(STRIDE, Math.round((side * scale) / STRIDE) * STRIDE),
  );
  const small = canvasOf(width, height);
  small.drawImage(photo, 0, 0, width, height);
  const { data } = small.getImageData(0, 0, width, height);
  const count = width * height;
  const planes = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < 3; channel++) planes[channel * count + i] = data[4 * i + channel] / 255;
  }
  const image = new ort.Tensor("float32", planes, [1, 3, height, width]);
  // No trimap is given: zeros leave the network its own.
  const trimap = new ort.Tensor("float32", new Float32Array(3 * count), [1, 3, height, width]);
  const prior = new ort.Tensor("float32", new Float32Array(count), [1, 1, height, width]);
  const { alpha } = await session.run({ image, trimap, prior }, ["alpha"]);
  const shown = new ImageData(width, height);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += alpha.data[i];
    shown.data.fill(255, 4 * i, 4 * i + 3);
    shown.data[4 * i + 3] = Math.round(255 * alpha.data[i]);
  }
  small.putImageData(shown, 0, 0);
  return { alpha: small.canvas, coverage: sum / count };
}

// The photo where alpha is ("destination-in") or is not ("destination-out"), its colours spread by a blur.
function part(photo, alpha, operation, radius = 0) {
  const context = canvasOf(photo.width, photo.height);
  context.drawImage(photo, 0, 0);
  context.globalCompositeOperation = operation;
  context.drawImage(alpha, 0, 0, photo.width, photo.height);
  if (!radius) return context;
  const blurred = canvasOf(photo.width, photo.height);
  blurred.filter = `blur(${radius}px)`;
  blurred.drawImage(context.canvas, 0, 0);
  return blurred;
}

// The cut-out with the subject's own colours, by blur fusion (Forte, ICIP 2021): F + α·(I − α·F − (1 − α)·B), where F
// and B are the blurred parts of the photo. A canvas stores colours times alpha, so its blur is the weighted one.
function cleaned(photo, alpha) {
  const { width, height } = photo;
  const cut = part(photo, alpha, "destination-in");
  if (cut.filter === undefined) return cut.canvas; // no blur in this browser
  const radius = Math.max(2, Math.max(width, height) / 100);
  const pixels = (context) => context.getImageData(0, 0, width, height);
  const whole = canvasOf(width, height);
  whole.drawImage(photo, 0, 0);
  const image = pixels(whole).data;
  const front = pixels(part(photo, alpha, "destination-in", radius)).data;
  const behind = pixels(part(photo, alpha, "destination-out", radius)).data;
  const result = pixels(cut);
  for (let i = 0; i < result.data.length; i += 4) {
    const opacity = result.data[i + 3] / 255;
    if (opacity === 0 || opacity === 1) continue;
    for (let channel = i; channel < i + 3; channel++) {
      const explained = opacity * front[channel] + (1 - opacity) * behind[channel];
      result.data[channel] = front[channel] + opacity * (image[channel] - explained); // clamped by its type
    }
  }
  cut.putImageData(result, 0, 0);
  return cut.canvas;
}
