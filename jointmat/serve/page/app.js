// The demo page: what is chosen, and what is shown of it. Every picture comes from the API in api.js.

import { post } from "./api.js";

const byId = (id) => document.getElementById(id);
const [viewer, frame, before, after, slider] = ["viewer", "frame", "before", "after", "slider"].map(byId);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;

const LABELS = { photo: "Photo", trimap: "Trimap", alpha: "Alpha", composite: "Composite" };

let limits = { max_bytes: Infinity };
let photo = null; // { file, url, results, control }
let ownPicture = null;
let turn = 0; // of show(): a later call makes the earlier ones void

// ---- results -----------------------------------------------------------------------------------------------

class Photo {
  constructor(file) {
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.results = new Map();
    this.control = new AbortController();
  }

  /** The answer to a request as { blob, url }, asked for once. */
  result({ key, path, fields }, report = () => {}) {
    if (!this.results.has(key)) {
      const answer = post(path, { image: this.file, ...fields }, this.control.signal, report)
        .then((blob) => ({ blob, url: URL.createObjectURL(blob) }));
      answer.catch(() => this.results.delete(key)); // so that it can be tried again
      this.results.set(key, answer);
    }
    return this.results.get(key);
  }

  close() {
    this.control.abort(new DOMException("another photo was chosen", "AbortError"));
    URL.revokeObjectURL(this.url);
    for (const answer of this.results.values()) answer.then(({ url }) => URL.revokeObjectURL(url), () => {});
  }
}

const plain = (kind) => ({ key: kind, path: `v1/${kind}`, fields: {} });

/** The request for what is shown of a photo; null where a choice is still missing. */
function wanted(view) {
  if (view !== "composite") return plain(view);
  const background = chosen("background");
  if (background === "none") return plain("cutout");
  if (background === "own") return ownPicture && placed(ownPicture.key, { background_image: ownPicture.file });
  const text = background === "colour" ? byId("colour").value : background;
  return placed(text, { background: text });
}

function placed(key, fields) {
  return { key: `composite ${key}`, path: "v1/composite", fields: { format: "jpg", ...fields } };
}

// ---- showing -----------------------------------------------------------------------------------------------

async function show() {
  if (!photo) return;
  const mine = ++turn;
  const view = chosen("view");
  const shown = photo;
  const request = view === "photo" ? null : wanted(view);
  frame.classList.toggle("single", view === "photo");
  const label = request?.key === "cutout" ? "Cut-out" : LABELS[view];
  byId("tag").textContent = label;
  clear();
  if (!request) {
    busy(false);
    if (view === "photo") after.src = shown.url;
    say(view === "photo" ? "The photo as it was given." : "Choose a picture for the background.");
    return;
  }
  busy(true);
  try {
    const start = performance.now();
    const { url } = await shown.result(request, (...stage) => mine === turn && progress(...stage));
    if (mine !== turn) return;
    await picture(after, url);
    after.alt = `${label} of the photo`;
    frame.classList.toggle("checks", request.key === "cutout");
    say(`${label} ready in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
    ready(true);
    prefetch(shown);
  } catch (error) {
    if (mine !== turn || error.name === "AbortError") return;
    if (error.message.startsWith("image:")) close(); // not a photo: nothing else can be shown of it either
    fail(named(error.message, shown));
  } finally {
    if (mine === turn) busy(false);
  }
}

/** What will probably be asked for next, one after the other, so that it is there at once. */
async function prefetch(of) {
  for (const kind of ["cutout", "alpha", "trimap"]) {
    if (of !== photo) return;
    try {
      await of.result(plain(kind));
    } catch {
      return; // said when it is asked for
    }
  }
}

async function picture(image, url) {
  image.src = url;
  await image.decode();
  frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
}

function progress(stage, part) {
  const bar = byId("progress");
  if (stage === "upload" && part < 1) bar.value = part;
  else bar.removeAttribute("value");
  say({ upload: `Sending ${Math.round(100 * part)} %`, work: "Matting…", busy: "The server is busy; trying again…" }[stage]);
}

function busy(is) {
  byId("progress").hidden = !is;
  byId("progress").removeAttribute("value");
  frame.setAttribute("aria-busy", is);
}

function ready(is) {
  for (const button of document.querySelectorAll("[data-download]")) button.disabled = !is;
}

function say(text) { byId("status").textContent = text; }

function clear() { byId("error").hidden = true; }

/** The server's line, with the file that was chosen in place of the form's field. */
function named(text, { file }) {
  return text.replace(/^image(?=:)/, file.name).replace(/^background_image(?=:)/, ownPicture?.file.name);
}

function fail(text) {
  say("");
  byId("error").textContent = text;
  byId("error").hidden = false;
}

// ---- choosing ----------------------------------------------------------------------------------------------

async function open(file) {
  if (!file) return;
  if (file.size > limits.max_bytes) {
    fail(`${file.name} has ${megabytes(file.size)}, the limit is ${megabytes(limits.max_bytes)}: choose a smaller file.`);
    return;
  }
  const held = byId("empty").contains(document.activeElement);
  close();
  photo = new Photo(file);
  byId("name").textContent = file.name;
  byId("empty").hidden = true;
  viewer.hidden = false;
  if (held) document.querySelector("input[name=view]:checked").focus(); // what had the focus is gone
  after.removeAttribute("src");
  frame.classList.remove("checks");
  // A format that this browser does not show, such as TIFF, has no "before".
  const seen = await picture(before, photo.url).then(() => true, () => false);
  frame.classList.toggle("blind", !seen);
  show();
}

function close() {
  photo?.close();
  photo = null;
  ready(false);
  clear();
  byId("empty").hidden = false;
  viewer.hidden = true;
}

function megabytes(bytes) { return `${(bytes / 1e6).toFixed(1)} MB`; }

async function openSample() {
  const answer = await fetch("sample.jpg");
  open(new File([await answer.blob()], "astronaut.jpg", { type: "image/jpeg" }));
}

function setOwn(file) {
  if (!file) return;
  ownPicture = { file, key: `${file.name} ${file.size} ${file.lastModified}` };
  const swatch = byId("own-swatch");
  const image = new Image();
  image.alt = "";
  image.src = URL.createObjectURL(file);
  swatch.replaceChildren(image);
  document.querySelector("input[name=background][value=own]").checked = true;
  backgroundChanged();
}

function backgroundChanged() {
  byId("colour-choice").hidden = chosen("background") !== "colour";
  byId("own-choice").hidden = chosen("background") !== "own";
  document.querySelector("input[name=view][value=composite]").checked = true;
  show();
}

async function download(kind, button) {
  const of = photo;
  const request = kind === "composite" ? wanted("composite") : plain(kind);
  if (!of || !request) return;
  clear();
  button.setAttribute("aria-busy", true);
  try {
    const { blob, url } = await of.result(request);
    const stem = of.file.name.replace(/\.[^.]*$/, "") || "portrait";
    const name = request.key === "cutout" ? "cutout" : kind;
    const link = Object.assign(document.createElement("a"), {
      href: url,
      download: `${stem}-${name}.${blob.type === "image/jpeg" ? "jpg" : "png"}`,
    });
    link.click();
    say(`Saved ${link.download}, ${megabytes(blob.size)}.`);
  } catch (error) {
    if (error.name !== "AbortError") fail(named(error.message, of));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// ---- events ------------------------------------------------------------------------------------------------

function listen() {
  for (const input of document.querySelectorAll("input.photo")) {
    input.addEventListener("change", () => { open(input.files[0]); input.value = ""; });
  }
  byId("sample").addEventListener("click", openSample);
  for (const input of document.querySelectorAll("input[name=view]")) input.addEventListener("change", show);
  for (const input of document.querySelectorAll("input[name=background]")) {
    input.addEventListener("change", backgroundChanged);
  }
  for (const button of document.querySelectorAll("[data-download]")) {
    button.addEventListener("click", () => download(button.dataset.download, button));
  }
  const divide = () => frame.style.setProperty("--split", `${slider.value}%`);
  slider.addEventListener("input", divide);
  divide();
  byId("own").addEventListener("change", () => setOwn(byId("own").files[0]));
  const paint = () => byId("paint").style.setProperty("background", byId("colour").value);
  byId("colour").addEventListener("input", paint);
  byId("colour").addEventListener("change", backgroundChanged);
  paint();
  // A click on "Own" asks for the picture; arrow keys that pass over it do not.
  byId("own-swatch").addEventListener("click", () => ownPicture || byId("own").click());
  addEventListener("paste", (event) => open(event.clipboardData.files[0]));
  listenToDrops();
}

function listenToDrops() {
  const hint = byId("dropping");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    hint.textContent = event.target.closest?.("#backgrounds") ? "Drop as background" : "Drop to cut out";
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) hint.hidden = true; });
  addEventListener("drop", (event) => {
    event.preventDefault();
    hint.hidden = true;
    const file = event.dataTransfer.files[0];
    if (event.target.closest?.("#backgrounds")) setOwn(file);
    else open(file);
  });
}

function drawn(name) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "background", value: name });
  const image = Object.assign(new Image(), { className: "swatch", src: `v1/backgrounds/${name}`, alt: "" });
  label.append(input, image, name[0].toUpperCase() + name.slice(1));
  return label;
}

async function start() {
  try {
    limits = await (await fetch("v1/info")).json();
    byId("backgrounds").querySelector("legend").after(...limits.backgrounds.map(drawn));
    document.querySelector("input[name=background]").checked = true;
    byId("limits").textContent = `JPEG, PNG or WebP, up to ${limits.max_bytes / 1e6} MB and ${limits.max_pixels / 1e6} megapixels`;
    byId("version").textContent = `jointmat ${limits.version}`;
  } catch {
    fail("The server cannot be reached. Check that it runs, and load this page again.");
  }
  listen();
}

start();
