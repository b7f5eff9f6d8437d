// What cuts photos out: the API of the server that this page comes from. The page without a server has another file
// in this one's place, with the same functions.

const TRIES_WHEN_BUSY = 6;
const GONE = "The server cannot be reached. Check that it runs, and try again.";

/** Limits, names of the backgrounds that `background` has, and what the page says of itself. */
export async function info() {
  const { keep_seconds, ...known } = JSON.parse(await (await get("v1/info")).text());
  const most = `${known.max_bytes / 1e6} MB and ${Math.round(known.max_pixels / 1e6)} megapixels`;
  return {
    ...known,
    hint: `JPEG, PNG, WebP or TIFF, up to ${most} each`,
    privacy: `Photos stay in this server's memory for ${Math.round(keep_seconds / 60)} minutes after their last use, and are never written to a disk.`,
    docs: true,
  };
}

/** Where the image of a background is. */
export const background = (name) => `v1/backgrounds/${name}`;

/** The sample's Blob. */
export const sample = () => get("sample.jpg");

/** What the server refused; the message is its own line. A status of 0: it did not answer. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Send a photo and return what is known of it: id, width, height, coverage, is_empty, and what `plane` needs.
 *
 * @param {Blob} file
 * @param {Object<string, string>} fields such as subject
 * @param {AbortSignal} signal
 * @param {(stage: "upload"|"work"|"busy", part: number) => void} report part in [0, 1] for uploads
 */
export const keep = (file, fields, signal, report) => post("v1/photos", { image: file, ...fields }, signal, report);

/** Have the matte of a kept photo made again: strokes is a list, subject as in the API. */
export function correct({ id }, { strokes, subject }, signal, report = () => {}) {
  const fields = { subject };
  if (strokes.length) fields.strokes = JSON.stringify(strokes);
  return post(`v1/photos/${id}/corrections`, fields, signal, report);
}

/** The Blob of a kept photo's "cutout", "alpha", "trimap", or of the "photo" itself, upright. */
export const plane = (facts, name, signal) => get(facts[name].replace(/^\//, ""), signal);

/** Have a kept photo forgotten; also while the page is being left. */
export function forget({ id }) {
  fetch(`v1/photos/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

/** GET a file's Blob. */
async function get(path, signal) {
  let answer;
  try {
    const response = await fetch(path, { signal });
    answer = { status: response.status, blob: await response.blob() };
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refusal(GONE, 0);
  }
  if (answer.status === 200) return answer.blob;
  throw await refusal(answer);
}

/** POST a form; a server that is busy is asked again when it says so. */
async function post(path, fields, signal, report) {
  for (let tries = 1; ; tries++) {
    const answer = await send(path, fields, signal, report);
    if (answer.status === 200 || answer.status === 201) return JSON.parse(await answer.blob.text());
    if (answer.status !== 503 || tries === TRIES_WHEN_BUSY) throw await refusal(answer);
    report("busy", 0);
    await pause(1000 * (Number(answer.retryAfter) || 1), signal);
  }
}

// XMLHttpRequest, because fetch does not tell how much of an upload is done.
function send(path, fields, signal, report) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    request.upload.onprogress = ({ loaded, total }) => report("upload", loaded / total);
    request.upload.onload = () => report("work", 0);
    request.onload = () => resolve({
      status: request.status,
      blob: request.response,
      retryAfter: request.getResponseHeader("Retry-After"),
    });
    request.onerror = () => reject(new Refusal(GONE, 0));
    request.onabort = () => reject(signal.reason);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

async function refusal(answer) {
  try {
    return new Refusal(JSON.parse(await answer.blob.text()).detail, answer.status);
  } catch {
    return new Refusal(`The server answered with status ${answer.status}. Try again later.`, answer.status);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
