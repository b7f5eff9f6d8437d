// Requests to the API of the server that this page comes from.

const TRIES_WHEN_BUSY = 4;
const GONE = "The server cannot be reached. Check that it runs, and try again.";

/**
 * POST a form and return the answer's Blob.
 *
 * A server that is busy is asked again when it says so. Any other refusal is an Error whose message is the
 * server's own line.
 *
 * @param {string} path
 * @param {Object<string, Blob|string>} fields
 * @param {AbortSignal} signal
 * @param {(stage: "upload"|"work"|"busy", part: number) => void} report part in [0, 1] for uploads
 */
export async function post(path, fields, signal, report) {
  for (let tries = 1; ; tries++) {
    const answer = await send(path, fields, signal, report);
    if (answer.status === 200) return answer.blob;
    if (answer.status !== 503 || tries === TRIES_WHEN_BUSY) throw new Error(await detail(answer));
    report("busy", 0);
    await pause(1000 * (Number(answer.retryAfter) || 1), signal);
  }
}

/** GET a file's Blob. What goes wrong is an Error with a line for the user, as from `post`. */
export async function get(path) {
  let answer;
  try {
    const response = await fetch(path);
    answer = { status: response.status, blob: await response.blob() };
  } catch {
    throw new Error(GONE);
  }
  if (answer.status === 200) return answer.blob;
  throw new Error(await detail(answer));
}

// XMLHttpRequest, because fetch does not tell how much of an upload is done.
function send(path, fields, signal, report) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    request.upload.onprogress = (event) => report("upload", event.loaded / event.total);
    request.upload.onload = () => report("work", 0);
    request.onload = () => resolve({
      status: request.status,
      blob: request.response,
      retryAfter: request.getResponseHeader("Retry-After"),
    });
    request.onerror = () => reject(new Error(GONE));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

async function detail(answer) {
  try {
    return JSON.parse(await answer.blob.text()).detail;
  } catch {
    return `The server answered with status ${answer.status}. Try again later.`;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
