// The page: photos that are opened, what is chosen for them, and what is saved. Each photo is sent once; whatever is
// behind its subject is drawn here.

import * as engine from "./engine.js";
import { isTransparent, rendered } from "./scene.js";
import { View } from "./view.js";
import { zip } from "./zip.js";

const byId = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;
const SMALL_SIDE = 1800; // of the copies that photos are drawn from while they are shown small, pixels
const THUMB_SIDE = 132;
const STROKE_PAUSE = 250; // milliseconds before strokes are sent, for the next to come along
const MEDIA = { png: "image/png", webp: "image/webp", jpeg: "image/jpeg" };
const STAGES = { wait: "Waiting…", load: "Loading the model…", upload: "Sending…", work: "Removing the background…", busy: "The server is busy; trying again…" };
const SAVING = ["save", "copy", "share", "zip", "menu-button"];

const retry = Object.assign(document.createElement("button"), { type: "button", className: "button small", textContent: "Try again" });

let limits = { max_bytes: Infinity };
let items = [];
let current = null;
let working = false;

const scene = {
  background: "none", colour: byId("colour").value, drawn: new Map(), own: null, shadow: false, frame: "whole",
  ownPlace: { scale: 1, dx: 0, dy: 0 },
};
const view = new View({
  canvas: byId("canvas"), divide: byId("divide"), slider: byId("slider"), zoomed, stroke: addStroke, pick, place: moved,
});

// ---- photos ------------------------------------------------------------------------------------------------

class Item {
  constructor(file) {
    this.file = file;
    this.name = file.name || "photo.png";
    this.status = "waiting"; // then working, ready or failed
    this.message = "";
    this.strokes = [];
    this.undone = [];
    this.applied = 0; // strokes that are in the result
    this.subject = "all";
    this.place = { scale: 1, dx: 0, dy: 0 };
    this.control = new AbortController();
  }

  get stem() { return this.name.replace(/\.[^.]*$/, "") || "photo"; }

  close() {
    this.control.abort();
    if (this.facts) engine.forget(this.facts);
    for (const kind of ["photo", "photoSmall", "cut", "cutSmall", "alpha", "trimap"]) this[kind]?.close?.();
  }
}

async function add(files) {
  const fresh = [...files].map((file) => new Item(file));
  if (!fresh.length) return;
  byId("start-error").hidden = true;
  const first = !items.length;
  items.push(...fresh);
  byId("empty").hidden = true;
  byId("stage").hidden = byId("panel").hidden = false;
  document.body.classList.add("open");
  open(fresh[0]);
  if (first) document.querySelector("input[name=tool]:checked").focus({ preventScroll: true });
  work();
}

/** One photo after the other, the one that is looked at first. */
async function work() {
  if (working) return;
  working = true;
  const waiting = (item) => item.status === "waiting";
  for (let item; (item = waiting(current ?? {}) ? current : items.find(waiting)); ) await process(item);
  working = false;
}

async function process(item) {
  item.status = "working";
  changed(item);
  try {
    if (item.file.size > limits.max_bytes) {
      throw new Error(`${item.name} has ${megabytes(item.file.size)}, the limit is ${megabytes(limits.max_bytes)}: choose a smaller file.`);
    }
    if (!item.photo) await preview(item);
    await send(item);
    await fetchPlanes(item);
    item.status = "ready";
    if (item === current) {
      view.reveal();
      say(done(item));
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    item.status = "failed";
    item.message = error.message.replace(/^image(?=:)/, item.name);
    item.passing = error.status === 0 || error.status >= 500;
  }
  changed(item);
}

/** Once more with a photo that failed. */
function again(item) {
  item.status = "waiting";
  item.stage = undefined;
  changed(item);
  work();
}

/** The photo as this browser shows it, before anything is sent; what it cannot show comes from the server later. */
async function preview(item) {
  item.photo = await createImageBitmap(item.file).catch(() => null);
  if (!item.photo) return;
  [item.width, item.height] = [item.photo.width, item.photo.height];
  item.photoSmall = await smaller(item.photo);
  changed(item);
}

async function send(item) {
  const report = (stage, part) => {
    item.stage = stage;
    item.part = part > 0 && part < 1 ? part : null;
    changed(item, false);
  };
  item.facts = await engine.keep(item.file, { subject: item.subject }, item.control.signal, report);
  [item.width, item.height] = [item.facts.width, item.facts.height];
}

async function fetchPlanes(item) {
  const { signal } = item.control;
  const blob = await engine.plane(item.facts, "cutout", signal);
  const cut = await createImageBitmap(blob);
  item.cut?.close();
  item.cutSmall?.close?.();
  Object.assign(item, { cut, cutBlob: blob, cutSmall: await smaller(cut), blurred: null, portrait: null });
  for (const plane of ["alpha", "trimap"]) { item[plane]?.close(); item[plane] = null; }
  if (!item.photo) {
    item.photo = await createImageBitmap(await engine.plane(item.facts, "photo", signal));
    item.photoSmall = await smaller(item.photo);
  }
}

async function smaller(bitmap) {
  const scale = SMALL_SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 0.8) return null;
  return createImageBitmap(bitmap, {
    resizeWidth: Math.round(bitmap.width * scale), resizeHeight: Math.round(bitmap.height * scale), resizeQuality: "high",
  });
}

function done(item) {
  if (item.facts.is_empty) return "No person found: paint what to keep.";
  return `Done. The subject takes ${Math.round(100 * item.facts.coverage)} % of the photo.`;
}

function open(item) {
  current = item;
  say(item.status === "ready" ? done(item) : "");
  changed(item);
  strip();
  if (view.show !== "result") showPlane();
}

function remove(item) {
  item.close();
  const place = items.indexOf(item);
  items = items.filter((other) => other !== item);
  if (!items.length) {
    current = null;
    byId("empty").hidden = false;
    byId("stage").hidden = byId("panel").hidden = true;
    document.body.classList.remove("open");
    say("");
    document.querySelector("#empty input.photo").focus();
    return;
  }
  if (item === current) open(items[Math.min(place, items.length - 1)]);
  strip();
}

// ---- corrections -------------------------------------------------------------------------------------------

function addStroke(stroke) {
  current.strokes.push(stroke);
  current.undone = [];
  resend(current);
}

function undo() {
  if (!current.strokes.length) return;
  current.undone.push(current.strokes.pop());
  resend(current);
}

function redo() {
  if (!current.undone.length) return;
  current.strokes.push(current.undone.pop());
  resend(current);
}

function reset() {
  current.strokes = [];
  current.undone = [];
  resend(current);
}

function pick(x, y) {
  current.subject = x === null ? "all" : `${x},${y}`;
  current.strokes = [];
  current.undone = [];
  resend(current);
}

/** Have the result made again, as the strokes and the subject are by then; a later call overtakes. */
function resend(item) {
  if (item.status !== "ready") return;
  changed(item);
  clearTimeout(item.timer);
  item.timer = setTimeout(() => apply(item), STROKE_PAUSE);
}

async function apply(item) {
  item.correction?.abort();
  const control = (item.correction = new AbortController());
  const { signal } = control;
  const { strokes, subject } = { strokes: [...item.strokes], subject: item.subject };
  item.correcting = true;
  changed(item);
  if (item === current) say("Updating…");
  try {
    const again = () => engine.correct(item.facts, { strokes, subject }, signal);
    item.facts = await again().catch(async (error) => {
      if (!(error instanceof engine.Refusal && error.status === 404)) throw error;
      await send(item); // the server has forgotten the photo meanwhile
      return again();
    });
    await fetchPlanes(item);
    item.applied = strokes.length;
    if (item === current) {
      say(done(item));
      if (view.show !== "result") showPlane();
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    if (item === current) fail(error.message);
  } finally {
    if (item.correction === control) item.correcting = false;
    changed(item, true, false);
  }
}

// ---- showing -----------------------------------------------------------------------------------------------

/** Show a photo's state wherever it is seen. */
function changed(item, redraw = true, clear = true) {
  badge(item);
  for (const id of SAVING) byId(id).disabled = current?.status !== "ready";
  const ready = items.filter(({ status }) => status === "ready").length;
  byId("zip").hidden = items.length < 2;
  byId("zip").disabled = !ready;
  if (item !== current) return;
  item.applied = Math.min(item.applied, item.strokes.length);
  const busy = item.status === "waiting" || item.status === "working";
  byId("mount").setAttribute("aria-busy", busy);
  byId("mount").classList.toggle("blank", !item.photo);
  bar(busy || item.correcting, item.part);
  if (busy) sayOnce(STAGES[item.stage ?? "wait"]);
  if (clear) byId("error").hidden = item.status !== "failed";
  if (item.status === "failed") {
    fail(item.message);
    if (item.passing) byId("error").append(retry);
  }
  byId("nobody").hidden = !(item.status === "ready" && item.facts.is_empty && view.tool !== "brush");
  byId("undo").disabled = !item.strokes.length;
  byId("redo").disabled = !item.undone.length;
  byId("reset").disabled = !item.strokes.length;
  byId("everyone").disabled = item.subject === "all";
  if (item.facts) {
    const share = (100 * item.facts.coverage).toFixed(1);
    byId("facts").textContent = `${item.width} × ${item.height} pixels, ${share} % subject`;
  }
  if (redraw) {
    view.open(item, scene);
    byId("canvas").setAttribute("aria-label", label(item));
  }
}

function label(item) {
  const what = item.status === "ready" ? "Result" : "Photo";
  return `${what}: ${item.name}. Plus and minus zoom, 0 fits, arrows move.`;
}

function bar(is, part) {
  const progress = byId("progress");
  progress.hidden = !is;
  if (part === null || part === undefined) progress.removeAttribute("value");
  else progress.value = part;
}

function zoomed(scale, fits) {
  byId("actual").textContent = `${Math.round(100 * scale)} %`;
  byId("fit").setAttribute("aria-pressed", fits);
}

function say(text) { byId("status").textContent = text; }

function sayOnce(text) { if (byId("status").textContent !== text) say(text); } // each is read aloud: once

function fail(text) {
  say("");
  const open = !byId("stage").hidden;
  const place = byId(open ? "error" : "start-error");
  if (place.firstChild?.textContent !== text || place.hidden) place.textContent = text;
  place.hidden = false;
}

function strip() {
  const list = byId("strip");
  list.hidden = items.length < 2;
  list.replaceChildren(...items.map((item) => {
    const entry = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "thumb" });
    button.append(item.thumb ??= document.createElement("canvas"), document.createElement("span"));
    button.addEventListener("click", () => { open(item); byId("strip").querySelector("[aria-current]")?.focus(); });
    if (item === current) button.setAttribute("aria-current", "true");
    const close = Object.assign(document.createElement("button"), { type: "button", className: "drop", textContent: "×" });
    close.setAttribute("aria-label", `Remove ${item.name}`);
    close.addEventListener("click", () => remove(item));
    entry.append(button, close);
    item.entry = entry;
    badge(item);
    return entry;
  }));
}

const BADGES = { waiting: "Waiting", working: "Working", ready: "Done", failed: "Failed" };

function badge(item) {
  if (!item.entry) return;
  const button = item.entry.querySelector(".thumb");
  button.dataset.status = item.status;
  const part = item.status === "working" && item.part !== null && item.part !== undefined ? item.part : null;
  button.style.setProperty("--part", part === null ? (item.status === "working" ? 0.6 : 0) : 0.5 * part);
  button.setAttribute("aria-label", `${item.name}: ${BADGES[item.status]}`);
  const source = item.cut ? item.cutSmall ?? item.cut : item.photoSmall ?? item.photo;
  if (!source || item.drawnFrom === source) return;
  item.drawnFrom = source;
  const scale = THUMB_SIDE / Math.min(source.width, source.height);
  item.thumb.width = item.thumb.height = THUMB_SIDE;
  const context = item.thumb.getContext("2d");
  context.imageSmoothingQuality = "high";
  const [w, h] = [source.width * scale, source.height * scale];
  context.drawImage(source, (THUMB_SIDE - w) / 2, (THUMB_SIDE - h) / 2, w, h);
}

// ---- choosing ----------------------------------------------------------------------------------------------

function backgroundChanged() {
  scene.background = chosen("background");
  byId("colour-choice").hidden = scene.background !== "colour";
  byId("own-choice").hidden = scene.background !== "own";
  if (scene.background === "own" && !scene.own) say("Choose a picture for the background.");
  placeChanged();
  sceneChanged();
}

function sceneChanged() {
  if (isTransparent(scene) && byId("format").value === "jpeg") say("JPEG has no transparency: the background will be white.");
  view.refresh();
}

const placed = () => (scene.background === "own" && scene.own ? scene.ownPlace : scene.frame === "id" ? current?.place : null);

/** The tool that moves is there while there is something to move. */
function placeChanged() {
  const there = placed() !== null;
  byId("place-tool").hidden = !there;
  if (!there && view.tool === "place") toolTo("look");
  if (there) byId("place-size").value = 100 * placed().scale;
}

function moved(dx, dy) {
  const place = placed();
  if (!place) return;
  place.dx += dx;
  place.dy += dy;
  view.refresh();
}

async function setOwn(file) {
  if (!file) return;
  try {
    scene.own = await createImageBitmap(file);
  } catch {
    fail(`${file.name} is not a picture that this browser can show: choose a JPEG, PNG or WebP.`);
    return;
  }
  byId("error").hidden = true;
  scene.ownPlace = { scale: 1, dx: 0, dy: 0 };
  const swatch = document.createElement("canvas");
  swatch.width = swatch.height = THUMB_SIDE;
  const scale = THUMB_SIDE / Math.min(scene.own.width, scene.own.height);
  const [w, h] = [scene.own.width * scale, scene.own.height * scale];
  swatch.getContext("2d").drawImage(scene.own, (THUMB_SIDE - w) / 2, (THUMB_SIDE - h) / 2, w, h);
  byId("own-swatch").replaceChildren(swatch);
  byId("own-label").textContent = "Change the picture";
  document.querySelector("input[name=background][value=own]").checked = true;
  say("");
  backgroundChanged();
}

function toolTo(tool) {
  document.querySelector(`input[name=tool][value=${tool}]`).checked = true;
  toolChanged();
}

function toolChanged() {
  const tool = chosen("tool");
  view.choose(tool);
  for (const name of ["brush", "person", "place"]) byId(`${name}-options`).hidden = tool !== name;
  if (tool !== "look" && view.comparing) compare();
  if (tool !== "look" && view.show !== "result") {
    document.querySelector("input[name=show][value=result]").checked = true;
    showPlane();
  }
  if (current) changed(current);
}

async function showPlane() {
  const show = chosen("show");
  const item = current;
  if (show !== "result" && item?.status === "ready" && !item[show]) {
    try {
      item[show] = await createImageBitmap(await plane(item, show));
    } catch (error) {
      fail(error.message);
      return;
    }
  }
  view.show = chosen("show");
  view.refresh();
}

/** A plane's file; the photo is sent again if the server has forgotten it. */
async function plane(item, name) {
  try {
    return await engine.plane(item.facts, name);
  } catch (error) {
    if (!(error instanceof engine.Refusal && error.status === 404)) throw error;
    await send(item);
    if (item.strokes.length) item.facts = await engine.correct(item.facts, item, item.control.signal);
    return engine.plane(item.facts, name);
  }
}

function compare() {
  const is = byId("compare").getAttribute("aria-pressed") !== "true";
  byId("compare").setAttribute("aria-pressed", is);
  if (is && view.tool !== "look") toolTo("look");
  view.compare(is);
}

// ---- saving ------------------------------------------------------------------------------------------------

/** [name, Blob] of what is shown of a photo; the server's own bytes where nothing has been added to them. */
async function result(item, format) {
  const plain = isTransparent(scene) && !scene.shadow && scene.frame === "whole";
  if (plain && format === "png") return [`${item.stem}-cutout.png`, item.cutBlob];
  const canvas = rendered(item, scene, format);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, MEDIA[format], 0.95));
  if (!blob) throw new Error(`The image of ${canvas.width} × ${canvas.height} pixels is too large for this browser.`);
  const what = isTransparent(scene) ? "cutout" : "result";
  const extension = { "image/png": "png", "image/webp": "webp", "image/jpeg": "jpg" }[blob.type];
  return [`${item.stem}-${what}.${extension}`, blob];
}

function download(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  say(`Saved ${name}, ${megabytes(blob.size)}.`);
}

const saved = async () => download(...(await result(current, byId("format").value)));

async function copied() {
  const image = result(current, "png").then(([, blob]) => blob);
  await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
  say("Copied.");
}

async function shared() {
  const [name, blob] = await result(current, byId("format").value);
  const files = [new File([blob], name, { type: blob.type })];
  if (!navigator.canShare?.({ files })) throw new Error("This browser cannot share files: save the image instead.");
  await navigator.share({ files });
}

async function zipped() {
  const ready = items.filter(({ status }) => status === "ready");
  const files = [];
  for (const item of ready) {
    say(`Preparing ${files.length + 1} of ${ready.length}…`);
    files.push(await result(item, byId("format").value));
  }
  download("photos.zip", await zip(files));
}

async function savePlane(name) {
  toggleMenu(false);
  const blob = name === "cutout" ? current.cutBlob : await plane(current, name);
  download(`${current.stem}-${name}.png`, blob);
}

/** Run what a button does; what goes wrong is said. */
function does(id, action) {
  byId(id).addEventListener("click", () => attempt(byId(id), action));
}

async function attempt(button, action) {
  byId("error").hidden = true;
  button.setAttribute("aria-busy", true);
  try {
    await action();
  } catch (error) {
    if (error.name === "NotAllowedError") fail("This browser does not allow it here: save the image instead.");
    else if (error.name !== "AbortError") fail(error.message);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

function toggleMenu(is = byId("menu").hidden) {
  byId("menu").hidden = !is;
  byId("menu-button").setAttribute("aria-expanded", is);
  if (is) byId("menu").querySelector("button").focus();
}

function megabytes(bytes) { return `${(bytes / 1e6).toFixed(1)} MB`; }

// ---- events ------------------------------------------------------------------------------------------------

function listen() {
  for (const input of document.querySelectorAll("input.photo")) {
    input.addEventListener("change", () => { add(input.files); input.value = ""; });
  }
  byId("sample").addEventListener("click", openSample);
  byId("tools").addEventListener("change", toolChanged);
  byId("backgrounds").addEventListener("change", backgroundChanged); // its radios are not all there yet
  byId("details").addEventListener("change", showPlane);
  for (const [id, action] of Object.entries({ save: saved, copy: copied, share: shared, zip: zipped })) does(id, action);
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => attempt(button, () => savePlane(button.dataset.save)));
  }
  for (const [id, action] of Object.entries({ undo, redo, reset, compare })) byId(id).addEventListener("click", action);
  byId("everyone").addEventListener("click", () => pick(null));
  retry.addEventListener("click", () => again(current));
  byId("zoom-in").addEventListener("click", () => view.zoomBy(1.5));
  byId("zoom-out").addEventListener("click", () => view.zoomBy(1 / 1.5));
  byId("fit").addEventListener("click", () => view.fit());
  byId("actual").addEventListener("click", () => view.actual());
  byId("nobody-brush").addEventListener("click", () => { toolTo("brush"); byId("canvas").focus(); });
  byId("brush-options").addEventListener("change", () => { view.brush.label = chosen("brush"); });
  byId("size").addEventListener("input", () => { view.brush.size = Number(byId("size").value); view.refresh(); });
  byId("place-size").addEventListener("input", () => { placed().scale = byId("place-size").value / 100; view.refresh(); });
  byId("place-reset").addEventListener("click", () => {
    Object.assign(placed(), { scale: 1, dx: 0, dy: 0 });
    placeChanged();
    view.refresh();
  });
  byId("own").addEventListener("change", () => { setOwn(byId("own").files[0]); byId("own").value = ""; });
  // A click on "Your picture" asks for it; arrow keys that pass over it do not.
  byId("own-swatch").addEventListener("click", () => scene.own || byId("own").click());
  const colour = () => {
    scene.colour = byId("colour").value;
    byId("paint").style.setProperty("background", scene.colour);
    view.refresh();
  };
  byId("colour").addEventListener("input", colour);
  colour();
  byId("shadow").addEventListener("change", () => { scene.shadow = byId("shadow").checked; sceneChanged(); });
  byId("portrait").addEventListener("change", portraitChanged);
  byId("format").addEventListener("change", sceneChanged);
  byId("menu-button").addEventListener("click", () => toggleMenu());
  byId("menu").addEventListener("keydown", menuKey);
  addEventListener("pointerdown", (event) => { if (!event.target.closest?.(".save")) toggleMenu(false); });
  addEventListener("keydown", shortcut);
  addEventListener("paste", (event) => add(event.clipboardData.files));
  addEventListener("pagehide", (event) => { if (!event.persisted) for (const { facts } of items) if (facts) engine.forget(facts); });
  new MutationObserver(() => view.refresh()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view.refresh());
  byId("share").hidden = !navigator.canShare;
  listenToDrops();
}

function portraitChanged() {
  scene.frame = byId("portrait").checked ? "id" : "whole";
  if (scene.frame === "id" && scene.background === "none") {
    document.querySelector("input[name=background][value=white]").checked = true;
    backgroundChanged();
  }
  view.fit();
  placeChanged();
  sceneChanged();
}

function shortcut(event) {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || !current) return;
  event.preventDefault();
  if (event.shiftKey) redo();
  else undo();
}

function menuKey(event) {
  const entries = [...byId("menu").querySelectorAll("button")];
  const place = entries.indexOf(document.activeElement);
  const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") {
    toggleMenu(false);
    byId("menu-button").focus();
  } else if (next !== undefined) {
    entries[(next + entries.length) % entries.length].focus();
  } else return;
  if (event.key !== "Tab") event.preventDefault();
}

function listenToDrops() {
  const hint = byId("dropping");
  const behind = (event) => current && event.target.closest?.("#backgrounds");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    hint.textContent = behind(event) ? "Drop as background" : "Drop to remove the background";
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) hint.hidden = true; });
  addEventListener("drop", (event) => {
    event.preventDefault();
    hint.hidden = true;
    if (behind(event)) setOwn(event.dataTransfer.files[0]);
    else add(event.dataTransfer.files);
  });
}

async function openSample() {
  byId("start-error").hidden = true;
  try {
    add([new File([await engine.sample()], "astronaut.jpg", { type: "image/jpeg" })]);
  } catch (error) {
    fail(error.message);
  }
}

/** A tile of a drawn background; its image is also what is drawn behind the subject. */
function drawn(name) {
  const entry = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "background", value: name });
  const image = Object.assign(new Image(), { className: "swatch", src: engine.background(name), alt: "" });
  image.addEventListener("load", () => { scene.drawn.set(name, image); view.refresh(); });
  entry.append(input, image, name[0].toUpperCase() + name.slice(1));
  return entry;
}

async function start() {
  try {
    limits = await engine.info();
    byId("own-swatch").parentElement.before(...limits.backgrounds.map(drawn));
    byId("limits").textContent = limits.hint;
    byId("version").textContent = `jointmat ${limits.version}`;
    byId("privacy").textContent = limits.privacy;
    byId("api").hidden = !limits.docs;
  } catch (error) {
    fail(error.message);
  }
}

listen();
start();
