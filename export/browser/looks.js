// The arithmetic around the network: what it is given, and what becomes of its answers. Planes are Float32Arrays,
// row by row; jointmat/looks.py and jointmat/subject.py do the same in Python.

export const OVERVIEW = 512;
const STRIDE = 32;
const TILE = 256;
const HALO = 16;
const LEAST = 0.05; // share of a tile's core that must be unknown
const WORTH = 1.2;
const ENLARGED = 4; // times, at most
const INSIDE = 0.5;

/** Sizes for the first look: the long side at OVERVIEW, or four times its own if less, padded to a multiple of the stride. */
export function plan(width, height) {
  const scale = Math.min(OVERVIEW / Math.max(width, height), ENLARGED);
  const [w, h] = [width, height].map((n) => Math.max(1, Math.round(n * scale)));
  return { width: w, height: h, paddedWidth: Math.ceil(w / STRIDE) * STRIDE, paddedHeight: Math.ceil(h / STRIDE) * STRIDE };
}

/** The first three channels of RGBA pixels as planes in [0, 1] from (left, top); beyond the edge the last pixels go on. */
export function planesOf({ data, width, height }, left, top, w, h) {
  const planes = new Float32Array(3 * w * h);
  for (let y = 0, i = 0; y < h; y++) {
    const row = clamp(top + y, height);
    for (let x = 0; x < w; x++, i++) {
      const at = 4 * (row * width + clamp(left + x, width));
      for (let c = 0; c < 3; c++) planes[c * w * h + i] = data[at + c] / 255;
    }
  }
  return planes;
}

/** A part of a plane, likewise. */
function cut(plane, width, height, left, top, side, result, offset) {
  for (let y = 0, i = offset; y < side; y++) {
    const row = width * clamp(top + y, height);
    for (let x = 0; x < side; x++, i++) result[i] = plane[row + clamp(left + x, width)];
  }
}

const clamp = (place, length) => Math.max(0, Math.min(length - 1, place));

/**
 * A plane brought to another size, linearly.
 *
 * @param {{ data, width, height, seenWidth, seenHeight }} plane of which only the seen part counts
 */
export function resized({ data, width, height, seenWidth = width, seenHeight = height, offset = 0 }, toWidth, toHeight) {
  const result = new Float32Array(toWidth * toHeight);
  const lines = (length, seen, to) => Array.from({ length: to }, (_, n) => {
    const place = Math.max(0, ((n + 0.5) * seen) / to - 0.5);
    const first = Math.min(length - 1, Math.floor(place));
    return [first, Math.min(length - 1, first + 1), place - first];
  });
  const columns = lines(width, seenWidth, toWidth);
  lines(height, seenHeight, toHeight).forEach(([above, below, down], y) => {
    const [a, b] = [offset + above * width, offset + below * width];
    columns.forEach(([left, right, across], x) => {
      const upper = data[a + left] + across * (data[a + right] - data[a + left]);
      const lower = data[b + left] + across * (data[b + right] - data[b + left]);
      result[y * toWidth + x] = upper + down * (lower - upper);
    });
  });
  return result;
}

/** The largest of three planes at each pixel, as 0, 128 or 255. */
export function hard(planes) {
  const [background, unknown, foreground] = planes;
  return Uint8Array.from(background, (b, i) => {
    if (b >= unknown[i] && b >= foreground[i]) return 0;
    return unknown[i] >= foreground[i] ? 128 : 255;
  });
}

/** Background, unknown and foreground of a trimap of 0, 128 and 255. */
export function soft(trimap) {
  return [0, 128, 255].map((level) => Float32Array.from(trimap, (value) => (value === level ? 1 : 0)));
}

/** Alpha, with what is known of a trimap as it is known; changed in place. */
export function held(alpha, trimap) {
  for (let i = 0; i < alpha.length; i++) {
    if (trimap[i] !== 128) alpha[i] = trimap[i] / 255;
  }
  return alpha;
}

/**
 * Alpha looked at again at native resolution, tile by tile, where the first look does not know.
 *
 * @param {(image, trimap, prior, width, height) => Promise<Float32Array>} run the network, for one tile
 * @param {ImageData} image
 * @param {Float32Array[]} trimap its planes
 * @param {(part: number) => Promise<void>} report after each tile
 */
export async function secondLook(run, image, trimap, alpha, report) {
  const { width, height } = image;
  if (Math.max(width, height) <= WORTH * OVERVIEW) return alpha;
  const total = new Float32Array(alpha.length), weight = new Float32Array(alpha.length);
  const all = places(trimap[1], width, height), count = TILE * TILE;
  for (const [done, [left, top]] of all.entries()) {
    await report(done / all.length);
    const planes = new Float32Array(3 * count), prior = new Float32Array(count);
    trimap.forEach((plane, c) => cut(plane, width, height, left, top, TILE, planes, c * count));
    cut(alpha, width, height, left, top, TILE, prior, 0);
    const found = await run(planesOf(image, left, top, TILE, TILE), planes, prior, TILE, TILE);
    const [across, down] = [fade(left, width), fade(top, height)];
    for (let y = Math.max(0, -top); y < Math.min(TILE, height - top); y++) {
      for (let x = Math.max(0, -left); x < Math.min(TILE, width - left); x++) {
        const share = across[x] * down[y], i = (top + y) * width + left + x;
        total[i] += share * found[y * TILE + x];
        weight[i] += share;
      }
    }
  }
  return alpha.map((first, i) => (total[i] + Math.max(0, 1 - weight[i]) * first) / Math.max(1, weight[i]));
}

/** [left, top] of the tiles whose cores cover what is unknown: rows of tiles, each row with its own. */
function places(unknown, width, height) {
  const step = TILE - 2 * HALO, found = [];
  const wanted = (x, y) => unknown[y * width + x] > 0.25;
  const rows = (y) => unknown.subarray(y * width, (y + 1) * width).some((value) => value > 0.25);
  for (const top of starts(height, rows, step)) {
    const bottom = Math.min(height, top + step);
    const columns = (x) => { for (let y = top; y < bottom; y++) if (wanted(x, y)) return true; return false; };
    for (const left of starts(width, columns, step)) {
      const right = Math.min(width, left + step);
      let count = 0;
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) count += wanted(x, y);
      if (count / ((bottom - top) * (right - left)) > LEAST) found.push([within(left, width), within(top, height)]);
    }
  }
  return found;
}

/** Of the fewest intervals that cover all that is wanted. */
function starts(length, wanted, step) {
  const found = [];
  for (let place = 0; place < length; place++) {
    if (wanted(place)) { found.push(place); place += step - 1; }
  }
  return found;
}

/** Where the tile of a core begins: inside of the image, if it fits. */
const within = (start, length) => Math.max(0, Math.min(start - HALO, length - TILE));

/** Weights along a tile's side: 1 in its core, falling to 0 over the halo where the image goes on. */
function fade(start, length) {
  return Float32Array.from({ length: TILE }, (_, n) => {
    const rising = start <= 0 ? 1 : Math.min(1, (n + 0.5) / HALO);
    const falling = start + TILE >= length ? 1 : Math.min(1, (TILE - n - 0.5) / HALO);
    return rising * falling;
  });
}

/**
 * Which cells of a mask belong to one of the parts that it falls into, and to no other: a plane of 1 and 0.
 *
 * @param {Float32Array} mask of width × height cells
 * @param {number[]} cell [x, y], in or near the part
 */
export function partAt(mask, width, height, cell) {
  const part = new Int32Array(mask.length);
  let count = 0, edge = [];
  for (let start = 0; start < mask.length; start++) {
    if (mask[start] < INSIDE || part[start]) continue;
    part[start] = ++count;
    for (let rest = [start]; rest.length; ) {
      const i = rest.pop();
      edge.push(i);
      for (const next of around(i)) {
        if (mask[next] >= INSIDE && !part[next]) { part[next] = count; rest.push(next); }
      }
    }
  }
  while (edge.length) { // every other cell goes to the part that is nearest
    const beyond = [];
    for (const i of edge) {
      for (const next of around(i)) if (!part[next]) { part[next] = part[i]; beyond.push(next); }
    }
    edge = beyond;
  }
  const chosen = part[cell[1] * width + cell[0]];
  return Float32Array.from(part, (value) => (value === chosen ? 1 : 0));

  function around(i) {
    const x = i % width, y = (i - x) / width, found = [];
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        if (x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height) found.push(i + dy * width + dx);
      }
    }
    return found;
  }
}
