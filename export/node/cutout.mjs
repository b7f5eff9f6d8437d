// Cut out a photo by transformers.js, from a folder that `python -m export web` made.
//
//   node cutout.mjs FOLDER DTYPE PHOTO OUTPUT.png
//
// DTYPE is fp32, fp16 or q8. Needs `npm install` in this folder.
import { basename, dirname, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [folder, dtype, photo, output] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = `${dirname(resolve(folder))}/`;
const cutout = await pipeline("background-removal", basename(resolve(folder)), { dtype });
const result = await cutout(photo);
await result.save(output);
