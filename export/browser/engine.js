// What cuts photos out: the network in this browser. It stands in the place of the file that asks a server.

let worker = null;
let jobs = 0;
const waiting = new Map();
const kept = new Map(); // the planes and the file of a photo, by id

/** Nothing is ever refused for having been forgotten here. */
export class Refusal extends Error { }

export async function info() {
  const found = await fetch(here("info.json")).catch(() => null);
  if (!found?.ok) throw new Error("The page cannot be loaded. Check the connection, and load it again.");
  const { version, backgrounds, megabytes } = await found.json();
  return {
    version,
    backgrounds,
    max_bytes: Infinity,
    hint: `JPEG, PNG or WebP; above 12 megapixels they are made smaller. The first one loads ${megabytes} MB.`,
    privacy: "Photos stay in this browser: nothing is uploaded.",
    docs: false,
  };
}

export const background = (name) => here(`backgrounds/${name}.jpg`);

export async function sample() {
  return (await fetch(here("sample.jpg"))).blob();
}

export function keep(file, { subject }, signal, report) {
  return work({ id: crypto.randomUUID?.() ?? `${Math.random()}`, file, strokes: [], subject }, signal, report);
}

export function correct({ id }, { strokes, subject }, signal, report = () => {}) {
  return work({ id, file: kept.get(id).photo, strokes, subject }, signal, report);
}

export async function plane({ id }, name) {
  return kept.get(id)[name];
}

export function forget({ id }) {
  kept.delete(id);
  worker?.postMessage({ forget: id });
}

const here = (path) => new URL(path, import.meta.url).href;

async function work(task, signal, report) {
  signal?.throwIfAborted();
  worker ??= start();
  const job = ++jobs;
  const { facts, planes } = await new Promise((resolve, reject) => {
    waiting.set(job, { resolve, reject, report });
    signal?.addEventListener("abort", () => {
      worker?.postMessage({ drop: job });
      reject(signal.reason);
    }, { once: true });
    worker.postMessage({ job, ...task });
  }).finally(() => waiting.delete(job));
  kept.set(facts.id, planes);
  return facts;
}

function start() {
  const started = new Worker(here("worker.js"), { type: "module" });
  started.onmessage = ({ data: { job, stage, part, done, error } }) => {
    const one = waiting.get(job);
    if (stage) one?.report(stage, part);
    else if (done) one?.resolve(done);
    else one?.reject(new Error(error));
  };
  started.onerror = () => {
    worker = null;
    for (const { reject } of waiting.values()) reject(new Error("The model cannot be started in this browser."));
  };
  return started;
}
