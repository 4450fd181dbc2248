/* Messages with encoded pictures -> rows, off the page's own thread. The whole graph runs here: the resize is in it. */
import * as ort from "./ort.wasm.bundle.min.mjs";
import {PictureError, pictureOf} from "./pictures.js";

const CHECKED = 16, MOST_THREADS = 4;
let session = null, facts = null;

/* Open the model: `wasm` and `model` are bytes that the page has fetched and checked. */
async function open({wasm, model, facts: given}) {
  facts = given;
  ort.env.wasm.wasmBinary = wasm;
  const half = Math.floor((navigator.hardwareConcurrency || 1) / 2);  // a thread a core; those that wait would take time
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.max(1, Math.min(half, MOST_THREADS)) : 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(model, {executionProviders: ["wasm"], graphOptimizationLevel: "all"});
  return {threads: ort.env.wasm.numThreads, alters_pictures: altersPictures()};
}

/* Whether the browser hands out other pixels than were drawn, as protection against fingerprinting does. */
function altersPictures() {
  const context = new OffscreenCanvas(CHECKED, CHECKED).getContext("2d", {willReadFrequently: true});
  const drawn = new ImageData(CHECKED, CHECKED);
  for (let at = 0; at < drawn.data.length; at += 1) drawn.data[at] = at % 4 === 3 ? 255 : (at * 37) % 256;
  context.putImageData(drawn, 0, 0);
  return context.getImageData(0, 0, CHECKED, CHECKED).data.some((value, at) => value !== drawn.data[at]);
}

/* The row of a picture, as `thawline predict --json` has it. */
async function row({name, bytes}) {
  let picture;
  try {
    picture = await pictureOf(new Uint8Array(bytes), facts.preparation);
  } catch (error) {
    if (error instanceof PictureError) return {path: name, error: error.message};
    return {path: name, error: `this browser cannot take the picture in (${error.message})`};
  }
  const {width, height, pixels, remarks} = picture;
  const outputs = await session.run({pictures: new ort.Tensor("uint8", pixels, [1, height, width, 3])});
  const shares = Array.from(outputs.probabilities.data), outside = outputs.outside ? outputs.outside.data[0] : null;
  if (![...shares, outside ?? 0].every(Number.isFinite)) return {path: name, error: "the model's answer is not finite"};
  const order = shares.map((_, place) => place).sort((one, other) => shares[other] - shares[one] || one - other);
  const doubt = outputs.doubt.data[0] ? facts.doubt_codes[outputs.doubt.data[0]] : null;
  return {
    path: name,
    label: facts.class_names[order[0]],
    probability: shares[order[0]],
    probabilities: Object.fromEntries(order.map(place => [facts.class_names[place], shares[place]])),
    outside,
    ...(remarks.length ? {remark: remarks.join("; ")} : {}),
    ...(doubt ? {doubt} : {}),
    abstained: doubt !== null,
  };
}

const ANSWERS = {open, row, picture: ({bytes}) => pictureOf(new Uint8Array(bytes), facts.preparation)};

self.onmessage = async ({data: {id, kind, given}}) => {
  try {
    self.postMessage({id, answer: await ANSWERS[kind](given)});
  } catch (error) {
    self.postMessage({id, error: String(error && error.message || error)});
  }
};
