// Run an exported file by onnxruntime-web's WebAssembly, as a browser does, on raw tensors.
//
//   node alpha.mjs FILE.onnx INPUT.json OUTPUT.json
//
// INPUT.json: {"name": {"type": "float32" | "uint8", "dims": [...], "data": "base64, little endian"}}.
// OUTPUT.json: the same form, for every output. Needs `npm install onnxruntime-web` in this or a parent folder, or
// its folder in NODE_PATH.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const ort = createRequire(import.meta.url)("onnxruntime-web/wasm");
const arrays = { float32: Float32Array, uint8: Uint8Array, int64: BigInt64Array };

function toTensor({ type, dims, data }) {
  const bytes = Buffer.from(data, "base64");
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new ort.Tensor(type, new arrays[type](copy), dims);
}

function fromTensor({ type, dims, data }) {
  return { type, dims, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

const entries = (object, change) => Object.fromEntries(Object.entries(object).map(([k, v]) => [k, change(v)]));

const [file, input, output] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(file), { executionProviders: ["wasm"] });
const feeds = entries(JSON.parse(readFileSync(input, "utf8")), toTensor);
const started = performance.now();
const results = await session.run(feeds);
console.error(`${ort.env.versions.web}: ${(performance.now() - started).toFixed(0)} ms`);
writeFileSync(output, JSON.stringify(entries(results, fromTensor)));
process.exit(0);
