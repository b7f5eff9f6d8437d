// The page: photo in, cut-out on a canvas. worker.js computes.
const $ = (id) => document.getElementById(id);
const [stage, canvas, status, tools] = ["stage", "result", "status", "tools"].map($);
const MOST_PIXELS = 12e6;
const context = canvas.getContext("2d");
const worker = new Worker("worker.js", { type: "module" });

let photo = null; // ImageBitmap, as shown
let cutout = null; // ImageBitmap with alpha
let name = "photo";
let ready = false;

function say(text, error = false) {
  status.textContent = text;
  status.classList.toggle("error", error);
}

worker.onmessage = ({ data }) => {
  if (data.ready) {
    ready = true;
    say("Ready.");
    if (photo) start();
    return;
  }
  stage.classList.remove("busy");
  if (data.error) {
    say(data.error, true);
    return;
  }
  cutout = data.cutout;
  tools.disabled = false;
  draw();
  say(data.coverage < 0.002
    ? "Nobody was found in this photo."
    : `Done: ${photo.width}×${photo.height} in ${(data.milliseconds / 1000).toFixed(1)} s.`);
};
worker.onerror = () => say("The model could not be started in this browser.", true);

async function open(file, label) {
  try {
    const whole = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (whole.width * whole.height)));
    photo = await createImageBitmap(whole, {
      resizeWidth: Math.max(1, Math.round(whole.width * scale)),
      resizeHeight: Math.max(1, Math.round(whole.height * scale)),
      resizeQuality: "high",
    });
  } catch {
    say(`${label} is not an image that this browser can read.`, true);
    return;
  }
  name = label.replace(/\.[^.]*$/, "");
  cutout = null;
  tools.disabled = true;
  draw();
  start();
}

async function start() {
  stage.classList.add("busy");
  if (!ready) return;
  say("Removing the background …");
  worker.postMessage({ photo: await createImageBitmap(photo) });
}

function background() {
  const chosen = document.querySelector("[name=background]:checked").value;
  return chosen === "own" ? $("colour").value : chosen;
}

function draw(original = false) {
  canvas.width = photo.width;
  canvas.height = photo.height;
  if (original || !cutout) {
    context.drawImage(photo, 0, 0);
    return;
  }
  if (background()) {
    context.fillStyle = background();
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(cutout, 0, 0);
}

$("file").onchange = ({ target }) => target.files[0] && open(target.files[0], target.files[0].name);
$("sample").onclick = async () => open(await (await fetch("astronaut.jpg")).blob(), "sample.jpg");
tools.onchange = () => draw();
$("colour").oninput = () => {
  document.querySelector("[name=background][value=own]").checked = true;
  draw();
};
$("compare").onpointerdown = () => draw(true);
$("compare").onpointerup = $("compare").onpointerleave = () => cutout && draw();
$("compare").onkeydown = ({ key }) => key === " " && draw(true);
$("compare").onkeyup = () => cutout && draw();
$("download").onclick = () => canvas.toBlob((blob) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}-cutout.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
addEventListener("dragleave", () => stage.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) open(file, file.name);
});
addEventListener("paste", ({ clipboardData }) => {
  const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) open(file, "pasted.png");
});
