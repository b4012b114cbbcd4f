// A file of `mpafer export`, run by ONNX Runtime Web. Pictures are resized as Pillow does it, to the same 8-bit values.
"use strict";

const PRECISION = 2 ** 22; // Pillow's weights are multiples of its inverse
const FILTERS = { // by distance, and how far they reach
  bilinear: [1, (x) => Math.max(1 - x, 0)],
  bicubic: [2, (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0)],
};

// What a file says of itself: the metadata_props of its ModelProto, field 14, each a pair of texts. Other fields are skipped.
function readAbout(bytes) {
  let place = 0;
  const varint = () => {
    let value = 0, factor = 1, byte;
    do {
      if (place >= bytes.length) throw new Error("this is no whole ONNX file");
      byte = bytes[place++];
      value += (byte & 127) * factor; // no shifts, which are of 32 bits
      factor *= 128;
    } while (byte & 128);
    return value;
  };
  const text = (end) => {
    const length = (place++, varint());
    if (place + length > end) throw new Error("this is no whole ONNX file");
    return new TextDecoder().decode(bytes.subarray(place, (place += length)));
  };
  const about = {};
  while (place < bytes.length) {
    const tag = varint(), kind = tag % 8;
    if (kind === 1 || kind === 5) place += kind === 1 ? 8 : 4;
    else if (kind === 0) varint();
    else if (kind !== 2) throw new Error("this is no ONNX file");
    else {
      const end = varint() + place;
      if (tag >> 3 === 14) {
        const key = text(end), value = text(end);
        about[key] = key === "mpafer_checksum" ? value : JSON.parse(value);
      }
      place = end;
    }
  }
  if (!about.classnames) throw new Error("this file is not of mpafer export");
  return about;
}

// For each of `target` rows: the first row that it takes, and the weights of that row and the next ones.
function taps(size, target, interpolation) {
  const scale = size / target;
  return Array.from({ length: target }, (_, row) => {
    const centre = (row + 0.5) * scale;
    if (interpolation === "nearest") return [Math.floor(centre), [PRECISION]];
    const [reach, filter] = FILTERS[interpolation];
    const stretch = Math.max(scale, 1);
    const first = Math.max(Math.trunc(centre - reach * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + reach * stretch + 0.5), size);
    let weights = Array.from({ length: end - first }, (_, i) => filter(Math.abs(first + i - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b);
    weights = weights.map((weight) => Math.trunc((weight / sum) * PRECISION + Math.sign(weight) * 0.5));
    return [first, weights];
  });
}

// One pass over RGBA levels: [height, width] -> [width, target], so that two passes are a resize.
function pass(levels, height, width, target, interpolation) {
  const out = new Uint8ClampedArray(width * target * 4);
  taps(height, target, interpolation).forEach(([first, weights], row) => {
    for (let column = 0; column < width; column++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = PRECISION / 2, from = (first * width + column) * 4 + channel;
        for (const weight of weights) {
          sum += weight * levels[from];
          from += 4 * width;
        }
        out[(column * target + row) * 4 + channel] = Math.floor(sum / PRECISION);
      }
      out[(column * target + row) * 4 + 3] = 255;
    }
  });
  return out;
}

function transposed(levels, height, width) {
  const from = new Uint32Array(levels.buffer), out = new Uint32Array(from.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = from[y * width + x];
  return new Uint8ClampedArray(out.buffer);
}

// RGBA levels of a picture -> those of the central square of `about.size`, the shorter side resized to it.
function squared(levels, width, height, about) {
  const size = about.size, short = Math.min(width, height);
  if (short !== size) {
    const [wide, high] = [width, height].map((side) => Math.trunc((size * side) / short));
    levels = pass(transposed(levels, height, width), width, height, wide, about.interpolation); // [height, wide]
    levels = transposed(pass(levels, height, wide, high, about.interpolation), wide, high);
    [width, height] = [wide, high];
  }
  const [left, top] = [width, height].map((side) => halfToEven((side - size) / 2));
  const out = new Uint8ClampedArray(size * size * 4);
  for (let row = 0; row < size; row++) {
    const start = ((top + row) * width + left) * 4;
    out.set(levels.subarray(start, start + size * 4), row * size * 4);
  }
  return out;
}

function halfToEven(x) { // as Python rounds
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

// RGBA levels of a square -> [1, 3, size, size] in float32.
function normalised(levels, about) {
  const area = about.size ** 2, out = new Float32Array(3 * area);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < area; i++) {
      out[channel * area + i] = (levels[i * 4 + channel] / 255 - about.mean[channel]) / about.std[channel];
    }
  }
  return out;
}

// A picture's RGBA levels, upright; colour profiles are not applied, and transparent parts lie on black.
async function levelsOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("this picture cannot be read: save it as PNG or JPEG");
  });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

class Faces {
  static async load(bytes) {
    const faces = new Faces();
    faces.about = readAbout(bytes);
    faces.session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return faces;
  }

  // A picture file -> what the model sees (ImageData), and a probability for each class, by name.
  async answer(blob) {
    const { data, width, height } = await levelsOf(blob), { size, classnames } = this.about;
    const seen = squared(data, width, height, this.about);
    const images = new ort.Tensor("float32", normalised(seen, this.about), [1, 3, size, size]);
    const { probabilities } = await this.session.run({ images }, ["probabilities"]);
    const values = probabilities.data;
    return { seen: new ImageData(seen, size, size), answers: classnames.map((name, i) => [name, values[i]]) };
  }
}
