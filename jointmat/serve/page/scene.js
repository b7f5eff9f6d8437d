// What a photo's subject is put in front of, drawn on a canvas: the same for the screen and for what is saved.

const BLUR_SIDE = 160; // the long side of the copy that is blurred, pixels
const BLUR_SHARE = 0.025; // of that side
const ID_SHAPE = 35 / 45; // width over height
const ID_HEAD = 0.72; // of the height
const ID_ABOVE = 0.1;
const ID_SLIM = 1.3; // height of a head over its width
const ID_UPPER = 0.7; // of a head, in which it is as wide as anywhere
const ID_LEAST = 4; // rows, below which it is only a strand

/** The part of a photo that is shown and saved, in its pixels: { x, y, width, height }. */
export function frameOf(item, scene) {
  if (scene.frame === "whole" || !item.cut) return { x: 0, y: 0, width: item.width, height: item.height };
  item.portrait ??= portraitFrame(item);
  const { x, y, width, height } = item.portrait;
  const { scale, dx, dy } = item.place;
  return {
    x: x + (width - width / scale) / 2 - (dx * width) / scale,
    y: y + (height - height / scale) / 2 - (dy * height) / scale,
    width: width / scale,
    height: height / scale,
  };
}

/**
 * Draw background, shadow and subject.
 *
 * @param {CanvasRenderingContext2D} context with the frame's upper left corner at 0, 0
 * @param {number} scale of the context, pixels for one of the photo
 */
export function paint(context, item, scene, frame, scale) {
  backdrop(context, item, scene, frame);
  context.save();
  if (scene.shadow) {
    const side = Math.max(item.width, item.height) * scale; // a shadow's sizes are not scaled with the rest
    context.shadowColor = "rgb(0 0 0 / .45)";
    context.shadowBlur = 0.035 * side;
    context.shadowOffsetX = 0.012 * side;
    context.shadowOffsetY = 0.016 * side;
  }
  context.drawImage(level(item, "cut", scale), -frame.x, -frame.y, item.width, item.height);
  context.restore();
}

/** Draw the photo as it came. */
export function paintPhoto(context, item, frame, scale) {
  context.drawImage(level(item, "photo", scale), -frame.x, -frame.y, item.width, item.height);
}

/** Draw the subject, and faintly what was removed, so that one sees where to paint. */
export function paintGhost(context, item, frame, scale) {
  context.globalAlpha = 0.35;
  paintPhoto(context, item, frame, scale);
  context.globalAlpha = 1;
  context.drawImage(level(item, "cut", scale), -frame.x, -frame.y, item.width, item.height);
}

/** A canvas with what is to be saved. */
export function rendered(item, scene, format) {
  const frame = frameOf(item, scene);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(frame.width));
  canvas.height = Math.max(1, Math.round(frame.height));
  const context = canvas.getContext("2d");
  if (format === "jpeg" && scene.background === "none") {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  paint(context, item, scene, frame, 1);
  return canvas;
}

export function isTransparent(scene) { return scene.background === "none"; }

/** The bitmap to draw from: a smaller one while the photo is shown small. */
function level(item, kind, scale) {
  const small = item[`${kind}Small`];
  return small && small.width >= scale * item.width ? small : item[kind];
}

function backdrop(context, item, scene, frame) {
  const { width, height } = frame;
  const { background } = scene;
  if (background === "none") return;
  if (background === "white" || background === "colour") {
    context.fillStyle = background === "white" ? "#fff" : scene.colour;
    context.fillRect(0, 0, width, height);
    return;
  }
  context.imageSmoothingQuality = "high";
  if (background === "blur") {
    item.blurred ??= blurred(item);
    cover(context, item.blurred, width, height, { scale: 1, dx: 0, dy: 0 });
    return;
  }
  const image = background === "own" ? scene.own : scene.drawn.get(background);
  if (image) cover(context, image, width, height, background === "own" ? scene.ownPlace : { scale: 1, dx: 0, dy: 0 });
}

/** Draw an image over all of a frame; a place makes it larger and moves it, as far as it covers the frame. */
function cover(context, image, width, height, place) {
  const least = Math.max(width / image.width, height / image.height);
  const [w, h] = [image.width * least * place.scale, image.height * least * place.scale];
  const within = (value, room) => Math.max(-room, Math.min(room, value));
  const x = (width - w) / 2 + within(place.dx * width, (w - width) / 2);
  const y = (height - h) / 2 + within(place.dy * height, (h - height) / 2);
  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.drawImage(image, x, y, w, h);
  context.restore();
}

/** The photo out of focus, without its subject, which would leave a halo. */
function blurred(item) {
  const scale = BLUR_SIDE / Math.max(item.width, item.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(item.width * scale));
  canvas.height = Math.max(1, Math.round(item.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = canvas;
  context.imageSmoothingQuality = "high";
  context.drawImage(level(item, "photo", scale), 0, 0, width, height);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(level(item, "cut", scale), 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const planes = [0, 1, 2, 3].map((channel) => {
    const plane = new Float32Array(width * height);
    for (let i = 0; i < plane.length; i++) {
      const weight = pixels.data[4 * i + 3] / 255 + 1e-4; // far from any background, its mean colour
      plane[i] = channel === 3 ? weight : weight * pixels.data[4 * i + channel];
    }
    return smoothed(plane, width, height, Math.max(1, Math.round(BLUR_SHARE * BLUR_SIDE)));
  });
  for (let i = 0; i < planes[3].length; i++) {
    for (let channel = 0; channel < 3; channel++) pixels.data[4 * i + channel] = planes[channel][i] / planes[3][i];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Three averages over a box are nearly a Gaussian; beyond the border its last pixel goes on. */
function smoothed(plane, width, height, radius) {
  for (let pass = 0; pass < 3; pass++) {
    plane = averaged(plane, width, height, 1, width, radius);
    plane = averaged(plane, height, width, width, 1, radius);
  }
  return plane;
}

function averaged(plane, length, lines, step, lineStep, radius) {
  const result = new Float32Array(plane.length);
  for (let line = 0; line < lines; line++) {
    const at = (i) => plane[line * lineStep + Math.max(0, Math.min(length - 1, i)) * step];
    let sum = 0;
    for (let i = -radius; i <= radius; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      result[line * lineStep + i * step] = sum / (2 * radius + 1);
      sum += at(i + radius + 1) - at(i - radius);
    }
  }
  return result;
}

/** Where an ID photo would be cut: the head, which is about 1.3 times as high as wide, takes most of the height. */
function portraitFrame(item) {
  const scale = 200 / Math.max(item.width, item.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(item.width * scale));
  canvas.height = Math.max(1, Math.round(item.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(level(item, "cut", scale), 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const rows = [];
  for (let y = 0; y < canvas.height; y++) {
    let count = 0, sum = 0;
    for (let x = 0; x < canvas.width; x++) {
      if (data[4 * (y * canvas.width + x) + 3] > 127) { count++; sum += x; }
    }
    rows.push({ count, sum });
  }
  const top = rows.findIndex(({ count }) => count > 0);
  if (top < 0) return fitted(item);
  const subject = rows.slice(top, rows.findLastIndex(({ count }) => count > 0) + 1);
  // Its width is that of the upper part alone, since below the chin the shoulders come.
  const widest = (length) => Math.max(...subject.slice(0, Math.ceil(ID_UPPER * length)).map(({ count }) => count));
  const chin = subject.findIndex((_, y) => y >= ID_LEAST && y >= ID_SLIM * widest(y));
  const part = chin < 0 ? subject : subject.slice(0, chin + 1);
  const head = part.length / scale;
  const centre = part.reduce((all, { sum }) => all + sum, 0) / part.reduce((all, { count }) => all + count, 0) / scale;
  const height = Math.min(head / ID_HEAD, Math.max(item.height - top / scale, head / 0.9));
  const width = height * ID_SHAPE;
  return { x: centre - width / 2, y: top / scale - ID_ABOVE * height, width, height };
}

/** The largest part of that shape in a photo's middle. */
function fitted({ width, height }) {
  const w = Math.min(width, height * ID_SHAPE);
  return { x: (width - w) / 2, y: (height - w / ID_SHAPE) / 2, width: w, height: w / ID_SHAPE };
}
