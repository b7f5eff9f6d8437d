// The network, in a thread of its own: photos in; cut-outs, alpha and trimaps out.

import { hard, held, partAt, plan, planesOf, resized, secondLook, soft } from "./looks.js";

const MOST_PIXELS = 12e6; // larger photos are reduced
const MOST_SIDE = 1024; // long side of the photo in the second look
const FAR = 96; // long side of the copies that the colours of subject and background are taken from
const STRIP = 256; // rows of a cut-out that are made at once
const GPU_SECONDS = 20; // for the trial
const TRIAL_ERROR = 0.02; // mean
const RING_SHARE = 0.5, RING_SIDES = 1 / 200; // around strokes, as in jointmat/serve/strokes.py
const LEVELS = { keep: 255, remove: 0, unsure: 128 };

const bases = new Map(); // of a photo's trimap as it was predicted, by id
const dropped = new Set(); // jobs that nobody waits for
let network = null;
let line = Promise.resolve();

onmessage = ({ data }) => {
  if (data.drop) dropped.add(data.drop);
  else if (data.forget) bases.delete(data.forget);
  else line = line.then(() => answer(data));
};

async function answer({ job, id, file, strokes, subject }) {
  const report = async (stage, part) => {
    postMessage({ job, stage, part });
    await new Promise((go) => setTimeout(go)); // lets messages in
    if (dropped.delete(job)) throw new DOMException("dropped", "AbortError");
  };
  try {
    network ??= loaded((part) => postMessage({ job, stage: "load", part })).catch((error) => { network = null; throw error; });
    postMessage({ job, done: await matte(await network, { id, file, strokes, subject }, report) });
  } catch (error) {
    postMessage({ job, name: error.name, error: error.message });
  }
}

// ---- the network -------------------------------------------------------------------------------------------

/** Runs the network: on a GPU, if there is one on which it answers in time and as it should, or in WebAssembly. */
async function loaded(report) {
  const model = await fetched(new URL("model.onnx", import.meta.url), report);
  const { trial } = await (await fetch(new URL("info.json", import.meta.url))).json();
  const gpu = await navigator.gpu?.requestAdapter().catch(() => null);
  const real = gpu && !(gpu.info?.isFallbackAdapter ?? gpu.isFallbackAdapter); // others are drawn by the processor
  for (const provider of real ? ["webgpu", "wasm"] : ["wasm"]) {
    try {
      const slow = new Promise((_, reject) => setTimeout(reject, GPU_SECONDS * 1000, new Error("too slow")));
      slow.catch(() => {});
      const opened = tried(provider, model, trial);
      return await (provider === "wasm" ? opened : Promise.race([opened, slow]));
    } catch (error) {
      if (provider === "wasm") throw new Error(`The model cannot be started in this browser: ${error.message}`);
    }
  }
}

async function tried(provider, model, { side, step, alpha }) {
  const ort = await import(`./ort.${provider}.min.mjs`);
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;
  const run = runner(ort, await ort.InferenceSession.create(model, { executionProviders: [provider] }));
  const count = side * side;
  const image = Float32Array.from({ length: 3 * count }, (_, i) => ((i * step) % 256) / 255);
  const unknown = Float32Array.from({ length: 3 * count }, (_, i) => (i >= count && i < 2 * count ? 1 : 0));
  const found = (await run(image, unknown, new Float32Array(count).fill(0.5), side, side)).alpha.data;
  const error = alpha.reduce((sum, value, i) => sum + Math.abs(value - found[i]), 0) / alpha.length;
  if (!(error < TRIAL_ERROR)) throw new Error("it computes something else here");
  return run;
}

async function fetched(url, report) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new Error("The model cannot be loaded. Check the connection, and try again.");
  const size = Number(response.headers.get("Content-Length")), parts = [];
  let known = 0;
  for (let reader = response.body.getReader(), next; !(next = await reader.read()).done; ) {
    parts.push(next.value);
    known += next.value.length;
    report(size ? known / size : 0);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function runner(ort, session) {
  const tensor = (data, channels, width, height) =>
    new ort.Tensor("float32", data ?? new Float32Array(channels * width * height), [1, channels, height, width]);
  return (image, trimap, prior, width, height) => session.run({
    image: tensor(image, 3, width, height),
    trimap: tensor(trimap, 3, width, height), // zeros: none is given
    prior: tensor(prior, 1, width, height),
  });
}

// ---- a photo -----------------------------------------------------------------------------------------------

async function matte(run, { id, file, strokes, subject }, report) {
  await report("work", 0);
  const photo = await opened(file);
  const { width, height } = photo;
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const work = pixels(photo, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  let base = bases.get(id);
  let alpha;
  if (!strokes.length || base?.subject !== subject) {
    const first = await firstLook(run, photo, work, null, subject);
    base = { subject, trimap: hard(first.trimap) };
    bases.set(id, base);
    alpha = await secondLook(tiled(run), work, first.trimap, first.alpha, (part) => report("work", part));
  }
  let { trimap } = base;
  if (strokes.length) {
    trimap = painted(trimap, work.width, work.height, strokes, work.width / width);
    const planes = soft(trimap);
    const first = await firstLook(run, photo, work, trimap, "all");
    alpha = await secondLook(tiled(run), work, planes, first.alpha, (part) => report("work", part));
    held(alpha, trimap);
  }
  const coverage = alpha.reduce((sum, value) => sum + value, 0) / alpha.length;
  const cover = grey(alpha, work.width, work.height, 255);
  const facts = { id, width, height, coverage, is_empty: !alpha.some((value) => value > 0.5) };
  const planes = {
    cutout: await saved(cutout(photo, cover)),
    alpha: await saved(spread(cover, width, height, true)),
    trimap: await saved(spread(grey(trimap, work.width, work.height, 1), width, height, false)),
    photo: file,
  };
  photo.close();
  return { facts, planes };
}

async function opened(file) {
  const whole = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is not an image that this browser can read.`);
  });
  const scale = Math.sqrt(MOST_PIXELS / (whole.width * whole.height));
  if (scale >= 1) return whole;
  const [resizeWidth, resizeHeight] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * scale)));
  const photo = await createImageBitmap(whole, { resizeWidth, resizeHeight, resizeQuality: "high" });
  whole.close();
  return photo;
}

/** Alpha and trimap planes at the size of `work` (an ImageData of the photo); a trimap can be given at that size. */
async function firstLook(run, photo, work, given, subject) {
  const geometry = plan(photo.width, photo.height);
  const { paddedWidth, paddedHeight } = geometry;
  const padded = (image) => planesOf(image, 0, 0, paddedWidth, paddedHeight);
  const image = padded(pixels(photo, geometry.width, geometry.height));
  const trimap = given && padded(pixels(coloured(soft(given), work.width, work.height), geometry.width, geometry.height));
  const { alpha, used_trimap, mask } = await run(image, trimap, null, paddedWidth, paddedHeight);
  const keep = subject === "all" ? null : chosenPart(mask, geometry, subject, photo);
  const enlarged = ({ data, dims }, channel) => {
    const [, , height, width] = dims;
    const seen = { seenWidth: (width * geometry.width) / paddedWidth, seenHeight: (height * geometry.height) / paddedHeight };
    const plane = resized({ data, width, height, ...seen, offset: channel * width * height }, work.width, work.height);
    if (!keep) return plane;
    const share = resized({ ...keep, ...seen }, work.width, work.height);
    return plane.map((value, i) => value * share[i]);
  };
  const [unknown, foreground] = [enlarged(used_trimap, 1), enlarged(used_trimap, 2)];
  return {
    alpha: enlarged(alpha, 0),
    trimap: [unknown.map((value, i) => 1 - value - foreground[i]), unknown, foreground],
  };
}

function chosenPart({ data, dims }, geometry, subject, photo) {
  const [, , height, width] = dims;
  const [x, y] = subject.split(",").map(Number);
  const cell = [
    Math.floor((((x + 0.5) / photo.width) * width * geometry.width) / geometry.paddedWidth),
    Math.floor((((y + 0.5) / photo.height) * height * geometry.height) / geometry.paddedHeight),
  ];
  return { data: partAt(data, width, height, cell), width, height };
}

const tiled = (run) => async (...inputs) => (await run(...inputs)).alpha.data;

/** A trimap with strokes over it, as `painted` of jointmat/serve/strokes.py makes it. */
function painted(trimap, width, height, strokes, scale) {
  const result = trimap.slice();
  const margin = Math.max(width, height) * RING_SIDES;
  for (const [label, opposite] of [["keep", 0], ["remove", 255]]) {
    const ring = drawn(strokes.filter((stroke) => stroke.label === label), (radius) => radius + Math.max(margin, RING_SHARE * radius));
    for (let i = 0; i < ring.length; i++) if (ring[i] && trimap[i] === opposite) result[i] = 128;
  }
  for (const stroke of strokes) {
    const line = drawn([stroke], (radius) => radius);
    for (let i = 0; i < line.length; i++) if (line[i]) result[i] = LEVELS[stroke.label];
  }
  return result;

  function drawn(lines, widen) {
    const context = canvas(width, height);
    context.lineCap = context.lineJoin = "round";
    for (const { radius, points } of lines) {
      context.lineWidth = Math.max(1, 2 * widen(radius * scale));
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x * scale, y * scale);
      if (points.length === 1) context.lineTo(points[0][0] * scale, points[0][1] * scale + 0.01); // else it is no line
      context.stroke();
    }
    const { data } = context.getImageData(0, 0, width, height);
    return Uint8Array.from({ length: width * height }, (_, i) => data[4 * i + 3] > 127);
  }
}

// ---- images ------------------------------------------------------------------------------------------------

function canvas(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  return context;
}

const saved = (context) => context.canvas.convertToBlob({ type: "image/png" });

function pixels(image, width, height) {
  const context = canvas(width, height);
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** A canvas of a plane: white, and as opaque as the plane says. */
function grey(plane, width, height, factor) {
  const context = canvas(width, height), image = new ImageData(width, height);
  for (let i = 0; i < plane.length; i++) {
    image.data.fill(255, 4 * i, 4 * i + 3);
    image.data[4 * i + 3] = Math.round(factor * plane[i]);
  }
  context.putImageData(image, 0, 0);
  return context.canvas;
}

/** The same over black, at another size. */
function spread(plane, width, height, smooth) {
  const context = canvas(width, height);
  context.imageSmoothingEnabled = smooth;
  context.fillRect(0, 0, width, height);
  context.drawImage(plane, 0, 0, width, height);
  return context;
}

/** A canvas whose three colours are three planes. */
function coloured(planes, width, height) {
  const context = canvas(width, height), image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * planes[c][i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return context.canvas;
}

/**
 * The cut-out with the subject's own colours: F + α·(I − α·F − (1 − α)·B), where F and B are the photo's colours
 * around a pixel, in the subject and outside of it (blur fusion, Forte, ICIP 2021). A canvas stores colours times
 * alpha, so that a mean of its pixels is the weighted one. Nothing becomes more opaque than it was.
 */
function cutout(photo, cover) {
  const { width, height } = photo;
  const result = canvas(width, height), strip = canvas(width, STRIP);
  const [front, behind] = ["destination-in", "destination-out"].map((part) => far(photo, cover, part));
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    const at = (image) => {
      strip.clearRect(0, 0, width, STRIP);
      strip.drawImage(image, 0, -top, width, height);
      return strip.getImageData(0, 0, width, rows);
    };
    const image = at(photo), opacity = at(cover).data, F = at(front).data, B = at(behind).data;
    const { data } = image;
    for (let i = 3; i < data.length; i += 4) {
      const share = opacity[i] / 255;
      if (share > 0 && share < 1 && F[i]) {
        for (let c = i - 3; c < i; c++) {
          const explained = share * F[c] + (1 - share) * (B[i] ? B[c] : data[c]);
          data[c] = F[c] + share * (data[c] - explained); // clamped by its type
        }
      }
      data[i] = Math.min(data[i], opacity[i]);
    }
    result.putImageData(image, 0, top);
  }
  return result;
}

function far(photo, cover, part) {
  const scale = FAR / Math.max(photo.width, photo.height);
  const [width, height] = [photo.width, photo.height].map((side) => Math.max(1, Math.round(side * scale)));
  const large = canvas(4 * width, 4 * height);
  large.drawImage(photo, 0, 0, 4 * width, 4 * height);
  large.globalCompositeOperation = part;
  large.drawImage(cover, 0, 0, 4 * width, 4 * height);
  const small = canvas(width, height);
  small.drawImage(large.canvas, 0, 0, width, height);
  return small.canvas;
}
