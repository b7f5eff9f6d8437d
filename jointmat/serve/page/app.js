// The demo page: what is chosen, and what is shown of it. Every picture comes from the API in api.js.

import { get, post } from "./api.js";

const byId = (id) => document.getElementById(id);
const [viewer, frame, before, after, slider] = ["viewer", "frame", "before", "after", "slider"].map(byId);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;

const LABELS = { photo: "Photo", trimap: "Trimap", alpha: "Alpha", composite: "Composite" };
const STAGES = { upload: "Sending…", work: "Matting…", busy: "The server is busy; trying again…" };
const NO_BACKGROUND = "Choose a picture for the background.";

let limits = { max_bytes: Infinity };
let photo = null; // a Photo
let ownPicture = null;
let turn = 0; // of show(): a later call makes the earlier ones void

// ---- results -----------------------------------------------------------------------------------------------

class Photo {
  constructor(file) {
    this.file = file;
    this.url = URL.createObjectURL(file);
    this.results = new Map(); // of { answer, control, kept }
  }

  /** The answer to a request as { blob, url }, asked for once. One to be kept is not overtaken. */
  result({ key, path, fields }, { report = () => {}, kept = false } = {}) {
    if (!this.results.has(key)) {
      const control = new AbortController();
      const answer = post(path, { image: this.file, ...fields }, control.signal, report)
        .then((blob) => ({ blob, url: URL.createObjectURL(blob) }));
      answer.catch(() => this.results.delete(key)); // so that it can be tried again
      this.results.set(key, { answer, control, kept });
    }
    const result = this.results.get(key);
    result.kept ||= kept;
    return result.answer;
  }

  /** The answer to a request that does not wait behind those whose answers nobody wants any more. */
  overtaking(request, report) {
    if (!this.results.has(request.key)) {
      for (const { control, kept } of this.results.values()) if (!kept) control.abort();
    }
    return this.result(request, { report });
  }

  close() {
    URL.revokeObjectURL(this.url);
    for (const { answer, control } of this.results.values()) {
      control.abort();
      answer.then(({ url }) => URL.revokeObjectURL(url), () => {});
    }
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
  clear();
  if (!request) {
    busy(false);
    if (view === "photo") put(LABELS.photo, shown.url, "The photo");
    say(view === "photo" ? "The photo as it was given." : NO_BACKGROUND);
    return;
  }
  const label = request.key === "cutout" ? "Cut-out" : LABELS[view];
  busy(true);
  try {
    const start = performance.now();
    const { url } = await shown.overtaking(request, (...stage) => mine === turn && progress(...stage));
    if (mine !== turn) return;
    put(label, url, `${label} of the photo`);
    await sized(after);
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

/** Put a picture on the right, with its names for those who see it and for those who do not; or none. */
function put(label, url, alt) {
  if (url) after.src = url;
  else after.removeAttribute("src");
  after.alt = alt;
  byId("tag").textContent = label;
  frame.classList.toggle("checks", label === "Cut-out");
}

/** Give the frame the shape of a picture, once it has one. */
async function sized(image) {
  await image.decode();
  frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
}

function progress(stage, part) {
  const bar = byId("progress");
  if (stage === "upload" && part < 1) bar.value = part;
  else bar.removeAttribute("value");
  if (byId("status").textContent !== STAGES[stage]) say(STAGES[stage]); // each is read aloud: once
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
  put("", null, "");
  // A format that this browser does not show, such as TIFF, has no "before".
  before.src = photo.url;
  const seen = await sized(before).then(() => true, () => false);
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
  clear();
  try {
    open(new File([await get("sample.jpg")], "astronaut.jpg", { type: "image/jpeg" }));
  } catch (error) {
    fail(error.message);
  }
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
  if (!of) return;
  if (!request) {
    fail(NO_BACKGROUND);
    return;
  }
  clear();
  button.setAttribute("aria-busy", true);
  try {
    const { blob, url } = await of.result(request, { kept: true });
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
  byId("backgrounds").addEventListener("change", backgroundChanged); // its radios are not all there yet
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
    // Unless a photo came before, and is shown on the one that the page begins with.
    if (!photo) document.querySelector("input[name=background]").checked = true;
    byId("limits").textContent = `JPEG, PNG or WebP, up to ${limits.max_bytes / 1e6} MB and ${limits.max_pixels / 1e6} megapixels`;
    byId("version").textContent = `jointmat ${limits.version}`;
  } catch {
    fail("The server cannot be reached. Check that it runs, and load this page again.");
  }
}

listen();
start();
