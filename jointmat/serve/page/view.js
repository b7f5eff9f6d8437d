// The stage: a photo on a canvas that can be zoomed, moved, compared, and painted on.

import { frameOf, isTransparent, paint, paintGhost, paintPhoto } from "./scene.js";

const MOST_ZOOM = 16; // pixels of the screen for one of the photo
const MARGIN = 16;
const SWEEP = 650; // milliseconds
const COLOURS = { keep: "34 160 90", remove: "214 52 52", unsure: "226 160 20" };
const CHECK = 11;
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class View {
  /**
   * @param {{ canvas, divide, slider, zoomed, stroke, pick, place }} parts the elements, and what is called after a
   *   zoom, with a finished stroke, with a picked point, and with a movement as shares of the frame
   */
  constructor(parts) {
    Object.assign(this, parts);
    this.context = this.canvas.getContext("2d");
    this.item = null;
    this.scene = null;
    this.tool = "look";
    this.brush = { label: "keep", size: 40 };
    this.show = "result";
    this.comparing = false;
    this.split = 0; // share of the frame that shows the photo
    this.zoom = null; // null fits the stage
    this.centre = { x: 0.5, y: 0.5 }; // of what is seen, as a share of the frame
    this.pointers = new Map();
    this.cursor = null; // of brush and picker, in the stage
    this.drawing = null;
    new ResizeObserver(() => this.refresh()).observe(this.canvas);
    this.listen();
  }

  // ---- what is shown ---------------------------------------------------------------------------------------

  open(item, scene) {
    if (item !== this.item) {
      this.fit();
      this.drawing = null;
      this.split = item?.status === "ready" ? (this.comparing ? 0.5 : 0) : 1;
    }
    this.item = item;
    this.scene = scene;
    this.refresh();
  }

  /** Uncover the result from right to left, once. */
  reveal() {
    this.sweep(1, this.comparing ? 0.5 : 0);
  }

  compare(is) {
    this.comparing = is;
    this.sweep(this.split, is ? 0.5 : 0);
  }

  sweep(from, to) {
    cancelAnimationFrame(this.sweeping);
    const start = performance.now();
    const step = (now) => {
      const part = still.matches ? 1 : Math.min(1, (now - start) / SWEEP);
      this.split = from + (to - from) * (1 - (1 - part) ** 3);
      this.draw();
      if (part < 1) this.sweeping = requestAnimationFrame(step);
    };
    step(start);
  }

  choose(tool) {
    this.tool = tool;
    this.cursor = null;
    this.canvas.dataset.tool = tool;
    this.refresh();
  }

  refresh() {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.draw());
  }

  /** Sizes of now: the stage's, the frame, pixels of the screen for one of the photo, and the frame's corner. */
  layout() {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    const frame = frameOf(this.item, this.scene);
    const room = Math.min(MARGIN, 0.03 * width);
    const fitting = Math.min((width - 2 * room) / frame.width, (height - 2 * room) / frame.height);
    const scale = this.zoom ?? fitting;
    return {
      width, height, frame, scale, fitting,
      x: width / 2 - this.centre.x * frame.width * scale,
      y: height / 2 - this.centre.y * frame.height * scale,
    };
  }

  draw() {
    const { canvas, context, item } = this;
    const density = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * density)) canvas.width = Math.round(width * density);
    if (canvas.height !== Math.round(height * density)) canvas.height = Math.round(height * density);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const shown = item?.photo && width && height;
    this.divide.hidden = !(shown && this.comparing && item.cut && this.show === "result" && this.tool === "look");
    if (!shown) return;
    const at = this.layout();
    const [w, h] = [at.frame.width * at.scale, at.frame.height * at.scale];
    context.setTransform(density, 0, 0, density, 0, 0);
    context.save();
    context.beginPath();
    context.roundRect(at.x, at.y, w, h, this.zoom === null ? 6 : 0);
    context.clip();
    const editing = this.tool === "brush" || this.tool === "person";
    const start = this.show === "result" && !editing && item.status === "ready" ? this.split * w : 0;
    if (item.cut && start < w) {
      if ((isTransparent(this.scene) || editing) && this.show === "result") this.checks(at.x, at.y, w, h);
      this.within(at, start, w - start, density, (scale) => {
        const plane = item[this.show];
        if (editing) paintGhost(context, item, at.frame, scale);
        else if (this.show === "result") paint(context, item, this.scene, at.frame, scale);
        else if (plane) context.drawImage(plane, -at.frame.x, -at.frame.y, item.width, item.height);
      });
    }
    const split = item.cut ? start : w;
    if (split > 0) this.within(at, 0, split, density, (scale) => paintPhoto(context, item, at.frame, scale));
    if (this.tool === "brush") this.strokes(at, density);
    context.restore();
    this.marks(at);
    this.divide.style.transform = `translateX(${at.x + start}px)`;
    this.divide.style.setProperty("--middle", `${Math.max(40, Math.min(height - 40, at.y + h / 2))}px`);
    this.slider.value = Math.round(100 * this.split);
    this.canvas.style.touchAction = this.zoom === null && this.tool === "look" ? "pan-y" : "none";
    this.zoomed(at.scale * density, this.zoom === null);
  }

  /** Call a function with the context's origin in the frame's corner, clipped to some of its columns. */
  within(at, left, width, density, paintIt) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(at.x + left, at.y, width, at.frame.height * at.scale);
    context.clip();
    context.translate(at.x, at.y);
    context.scale(at.scale, at.scale);
    context.imageSmoothingEnabled = at.scale * density < 4;
    context.imageSmoothingQuality = "high";
    paintIt(at.scale * density);
    context.restore();
  }

  checks(x, y, width, height) {
    const { context } = this;
    const style = getComputedStyle(this.canvas);
    const tile = document.createElement("canvas");
    tile.width = tile.height = 2 * CHECK;
    const small = tile.getContext("2d");
    small.fillStyle = style.getPropertyValue("--check-light");
    small.fillRect(0, 0, 2 * CHECK, 2 * CHECK);
    small.fillStyle = style.getPropertyValue("--check-dark");
    small.fillRect(0, 0, CHECK, CHECK);
    small.fillRect(CHECK, CHECK, CHECK, CHECK);
    context.fillStyle = context.createPattern(tile, "repeat");
    context.fillRect(x, y, width, height);
  }

  /** Strokes that are not in the result yet. */
  strokes(at, density) {
    const { context, item } = this;
    const waiting = item.strokes.slice(item.applied);
    for (const stroke of this.drawing ? [...waiting, this.drawing] : waiting) {
      this.within(at, 0, at.frame.width * at.scale, density, () => {
        context.translate(-at.frame.x, -at.frame.y);
        context.strokeStyle = context.fillStyle = `rgb(${COLOURS[stroke.label]} / .5)`;
        context.lineWidth = 2 * stroke.radius;
        context.lineCap = context.lineJoin = "round";
        context.beginPath();
        stroke.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
        if (stroke.points.length === 1) context.lineTo(stroke.points[0][0] + 0.01, stroke.points[0][1]);
        context.stroke();
      });
    }
  }

  /** The brush, or where a person would be picked. */
  marks() {
    if (!this.cursor || !(this.tool === "brush" || this.tool === "person")) return;
    const { context, cursor } = this;
    const radius = this.tool === "brush" ? this.brush.size / 2 : 9;
    for (const [width, colour] of [[3, "rgb(0 0 0 / .55)"], [1.5, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      context.arc(cursor.x, cursor.y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  // ---- zooming ---------------------------------------------------------------------------------------------

  fit() {
    this.zoom = null;
    this.centre = { x: 0.5, y: 0.5 };
    this.refresh();
  }

  /** One pixel of the photo on one of the screen. */
  actual() {
    this.zoomTo(1 / (devicePixelRatio || 1));
  }

  zoomBy(factor, place) {
    if (this.item?.photo) this.zoomTo(this.layout().scale * factor, place);
  }

  /** Zoom so that what is at a place of the stage stays there. */
  zoomTo(scale, place) {
    if (!this.item?.photo) return;
    const at = this.layout();
    const most = Math.max(MOST_ZOOM / (devicePixelRatio || 1), at.fitting);
    const next = Math.min(most, scale);
    if (next <= at.fitting * 1.01) {
      this.fit();
      return;
    }
    place ??= { x: at.width / 2, y: at.height / 2 };
    const fixed = { x: (place.x - at.x) / at.scale, y: (place.y - at.y) / at.scale };
    this.zoom = next;
    this.centre = {
      x: (fixed.x + (at.width / 2 - place.x) / next) / at.frame.width,
      y: (fixed.y + (at.height / 2 - place.y) / next) / at.frame.height,
    };
    this.keepInside();
  }

  move(dx, dy) {
    if (this.zoom === null) return;
    const { frame, scale } = this.layout();
    this.centre.x -= dx / scale / frame.width;
    this.centre.y -= dy / scale / frame.height;
    this.keepInside();
  }

  keepInside() {
    this.centre.x = Math.max(0, Math.min(1, this.centre.x));
    this.centre.y = Math.max(0, Math.min(1, this.centre.y));
    this.refresh();
  }

  // ---- hands -----------------------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    canvas.addEventListener("wheel", (event) => {
      if (!this.item?.photo) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), place(event));
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      if (this.tool !== "look") return;
      if (this.zoom === null) this.zoomTo(Math.max(1 / devicePixelRatio, 2.5 * this.layout().scale), place(event));
      else this.fit();
    });
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.item?.photo || event.button > 1) return;
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, place(event));
      if (this.pointers.size === 2) this.drawing = null; // two fingers zoom
      else if (this.tool === "brush" && event.button === 0) this.begin(place(event));
      this.pressed = { ...place(event), moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = place(event), before = this.pointers.get(event.pointerId);
      if (event.pointerType !== "touch" || before) this.cursor = now;
      if (before) this.drag(event, before, now);
      this.refresh();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        if (!this.pointers.delete(event.pointerId)) return;
        if (end === "pointerup" && this.drawing) this.end();
        if (end === "pointerup" && this.tool === "person" && !this.pressed?.moved) this.pickAt(place(event));
        this.drawing = null;
        if (event.pointerType === "touch") this.cursor = null;
        this.refresh();
      });
    }
    canvas.addEventListener("pointerleave", () => { this.cursor = null; this.refresh(); });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.cursor = null; this.drawing = null; this.refresh(); });
    this.listenToDivide();
  }

  drag(event, before, now) {
    if (Math.hypot(now.x - this.pressed.x, now.y - this.pressed.y) > 4) this.pressed.moved = true;
    if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const distance = (a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
      this.zoomBy(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      this.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    } else if (this.drawing) {
      const moves = event.getCoalescedEvents?.() ?? [];
      const box = this.canvas.getBoundingClientRect();
      for (const { clientX, clientY } of moves.length ? moves : [event]) {
        this.extend({ x: clientX - box.left, y: clientY - box.top });
      }
    } else if (this.tool === "place") {
      const { frame, scale } = this.layout();
      this.place((now.x - before.x) / scale / frame.width, (now.y - before.y) / scale / frame.height);
    } else {
      this.move(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  /** A place of the stage in pixels of the photo. */
  photoPlace({ x, y }) {
    const at = this.layout();
    return [(x - at.x) / at.scale + at.frame.x, (y - at.y) / at.scale + at.frame.y].map((v) => Math.round(10 * v) / 10);
  }

  begin(place) {
    const radius = Math.max(0.5, this.brush.size / 2 / this.layout().scale);
    this.drawing = { label: this.brush.label, radius: Math.min(2000, radius), points: [this.photoPlace(place)] };
    this.refresh();
  }

  extend(place) {
    const point = this.photoPlace(place), last = this.drawing.points.at(-1);
    const step = this.drawing.radius / 8;
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= step && this.drawing.points.length < 5000) {
      this.drawing.points.push(point);
    }
  }

  end() {
    const stroke = this.drawing;
    this.drawing = null;
    this.stroke(stroke);
  }

  pickAt(place) {
    const [x, y] = this.photoPlace(place).map(Math.floor);
    if (x >= 0 && y >= 0 && x < this.item.width && y < this.item.height) this.pick(x, y);
  }

  key(event) {
    if (!this.item?.photo || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 80 : 20;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "+" || event.key === "=") this.zoomBy(1.25);
    else if (event.key === "-") this.zoomBy(0.8);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.actual();
    else if (arrow) this.arrow(arrow[0] * step, arrow[1] * step);
    else if (event.key === " " || event.key === "Enter") this.press();
    else return;
    event.preventDefault();
  }

  /** With the keys, the brush is put down and lifted by Space, and moved by the arrows. */
  arrow(dx, dy) {
    if (this.tool === "place") {
      const { frame, scale } = this.layout();
      this.place(dx / 2 / scale / frame.width, dy / 2 / scale / frame.height);
    } else if (this.tool === "look") {
      this.move(-dx, -dy);
    } else {
      const { clientWidth, clientHeight } = this.canvas;
      const from = this.cursor ?? { x: clientWidth / 2, y: clientHeight / 2 };
      this.cursor = {
        x: Math.max(0, Math.min(clientWidth, from.x + dx / 2)),
        y: Math.max(0, Math.min(clientHeight, from.y + dy / 2)),
      };
      if (this.drawing) this.extend(this.cursor);
    }
    this.refresh();
  }

  press() {
    this.cursor ??= { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 };
    if (this.tool === "person") this.pickAt(this.cursor);
    else if (this.tool === "brush" && this.drawing) this.end();
    else if (this.tool === "brush") this.begin(this.cursor);
    this.refresh();
  }

  listenToDivide() {
    const { divide, slider, canvas } = this;
    divide.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      divide.setPointerCapture(event.pointerId);
      slider.focus({ preventScroll: true });
    });
    divide.addEventListener("pointermove", (event) => {
      if (!divide.hasPointerCapture(event.pointerId)) return;
      const at = this.layout();
      const x = event.clientX - canvas.getBoundingClientRect().left;
      this.split = Math.max(0, Math.min(1, (x - at.x) / (at.frame.width * at.scale)));
      this.refresh();
    });
    slider.addEventListener("input", () => {
      this.split = slider.value / 100;
      this.refresh();
    });
  }
}
