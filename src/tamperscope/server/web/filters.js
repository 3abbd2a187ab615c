// Views of a picture that bring out what the eye misses. Each is computed from image data, in strips, so that
// the page stays responsive.

import { t } from "./language.js";

const STRIP_MILLISECONDS = 12;
const SAMPLES = 40_000; // Pixels from which principal components are computed.

const clamp = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);
const luminance = (data, i) => 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];

/** A parameter: `options` are names of choices, else it is a number from `min` to `max`. */
const number = (id, label, min, max, value) => ({ id, label, min, max, value });
const choice = (id, label, options) => ({ id, label, options, value: 0 });

/**
 * Each filter has a name, what to look for, its parameters, and `draw(source, values, strips)`, which resolves
 * to image data of the size of `source`.
 */
export const FILTERS = {
  ela: {
    name: t("Error level"),
    look: t("Saved again as JPEG at this quality, and how much that changes. Edges are always bright; a region that is brighter or darker than others like it was saved differently."),
    parameters: [number("quality", t("Quality"), 50, 99, 90), number("gain", t("Brightness"), 1, 60, 20)],
    draw: errorLevel,
  },
  noise: {
    name: t("Noise"),
    look: t("What a median filter takes away. Retouched and pasted regions are often smoother, or noisier, than the rest."),
    parameters: [number("gain", t("Brightness"), 1, 60, 20)],
    draw: noise,
  },
  sweep: {
    name: t("Level sweep"),
    look: t("Stretches a few brightness levels over the full range. Move the level slowly: pasted edges and cloned surfaces show up."),
    parameters: [number("level", t("Level"), 0, 255, 128), number("width", t("Width"), 2, 128, 32)],
    draw: levelSweep,
  },
  components: {
    name: t("Principal components"),
    look: t("The picture along one axis of its colours. The third component holds little but noise and compression traces, in which inserted parts stand out."),
    parameters: [choice("component", t("Component"), [t("First"), t("Second"), t("Third")])],
    draw: principalComponent,
  },
  gradient: {
    name: t("Luminance gradient"),
    look: t("The direction in which brightness changes, as colour. Objects lit from another side, and smoothed edges, differ from their surroundings."),
    parameters: [number("gain", t("Brightness"), 1, 20, 4)],
    draw: gradient,
  },
  bits: {
    name: t("Bit planes"),
    look: t("One bit of every pixel. The lowest bits are noise in a photo; flat or patterned patches were drawn, filled or cloned."),
    parameters: [
      choice("channel", t("Channel"), [t("Luminance"), t("Red"), t("Green"), t("Blue")]),
      number("bit", t("Bit"), 0, 7, 0),
    ],
    draw: bitPlane,
  },
};

/** Call `row(y)` for each of `height` rows, and leave the browser time in between. `stopped` ends it early. */
export async function inStrips(height, row, stopped = () => false) {
  let began = performance.now();
  for (let y = 0; y < height; y++) {
    row(y);
    if (performance.now() - began < STRIP_MILLISECONDS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    if (stopped()) throw new DOMException("", "AbortError");
    began = performance.now();
  }
}

/** Return image data in which the function `pixel(i, x, y, set)` has set each pixel. */
async function drawn({ width, height }, pixel, stopped) {
  const image = new ImageData(width, height);
  const { data } = image;
  const set = (i, red, green, blue) => {
    data[i] = red;
    data[i + 1] = green;
    data[i + 2] = blue;
    data[i + 3] = 255;
  };
  const row = (y) => {
    for (let x = 0, i = 4 * y * width; x < width; x++, i += 4) pixel(i, x, y, set);
  };
  await inStrips(height, row, stopped);
  return image;
}

async function errorLevel(source, { quality, gain }, stopped) {
  const sheet = new OffscreenCanvas(source.width, source.height);
  const context = sheet.getContext("2d", { willReadFrequently: true });
  context.putImageData(source, 0, 0);
  const saved = await createImageBitmap(
    await sheet.convertToBlob({ type: "image/jpeg", quality: quality / 100 }),
    { colorSpaceConversion: "none" },
  );
  context.drawImage(saved, 0, 0);
  saved.close();
  return difference(source, context.getImageData(0, 0, source.width, source.height), gain, stopped);
}

/** Return how much two pictures of one size differ, times `gain`; black where `other` shows nothing. */
export function difference(source, other, gain, stopped) {
  const [a, b] = [source.data, other.data];
  const apart = (i) => clamp(gain * Math.abs(a[i] - b[i]));
  return drawn(
    source,
    (i, x, y, set) => (b[i + 3] < 255 ? set(i, 0, 0, 0) : set(i, apart(i), apart(i + 1), apart(i + 2))),
    stopped,
  );
}

async function noise(source, { gain }, stopped) {
  const { width, height } = source;
  const grey = await greyOf(source, stopped);
  const around = new Float32Array(9);
  return drawn(
    source,
    (i, x, y, set) => {
      let count = 0;
      for (let dy = y ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy++)
        for (let dx = x ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx++)
          around[count++] = grey[(y + dy) * width + x + dx];
      const middle = around.subarray(0, count).sort()[count >> 1];
      const value = clamp(gain * Math.abs(grey[y * width + x] - middle));
      set(i, value, value, value);
    },
    stopped,
  );
}

function levelSweep(source, { level, width }, stopped) {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, v) => 127.5 + (255 * (v - level)) / width);
  const { data } = source;
  return drawn(
    source,
    (i, x, y, set) => set(i, table[data[i]], table[data[i + 1]], table[data[i + 2]]),
    stopped,
  );
}

function principalComponent(source, { component }, stopped) {
  const { data } = source;
  const { mean, axes, spread } = componentsOf(data);
  const axis = axes[component];
  const scale = 127.5 / (3 * Math.max(spread[component], 0.5));
  return drawn(
    source,
    (i, x, y, set) => {
      let along = 0;
      for (let c = 0; c < 3; c++) along += axis[c] * (data[i + c] - mean[c]);
      const value = clamp(127.5 + scale * along);
      set(i, value, value, value);
    },
    stopped,
  );
}

/** Return the mean colour, and the axes and standard deviations of the colours, widest first. */
export function componentsOf(data) {
  const step = 4 * Math.max(1, Math.floor(data.length / 4 / SAMPLES));
  const mean = [0, 0, 0];
  const products = [0, 1, 2].map(() => [0, 0, 0]);
  let count = 0;
  for (let i = 0; i < data.length; i += step, count++)
    for (let a = 0; a < 3; a++) {
      mean[a] += data[i + a];
      for (let b = 0; b < 3; b++) products[a][b] += data[i + a] * data[i + b];
    }
  for (let a = 0; a < 3; a++) mean[a] /= count;
  const covariance = products.map((row, a) => row.map((sum, b) => sum / count - mean[a] * mean[b]));
  const { values, vectors } = eigen(covariance);
  const order = [0, 1, 2].sort((a, b) => values[b] - values[a]);
  return {
    mean,
    axes: order.map((k) => vectors.map((row) => row[k])),
    spread: order.map((k) => Math.sqrt(Math.max(0, values[k]))),
  };
}

/** Return the eigenvalues and eigenvectors (in columns) of a symmetric 3 x 3 matrix, by Jacobi's rotations. */
function eigen(matrix) {
  const a = matrix.map((row) => [...row]);
  const v = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ];
  for (let sweep = 0; sweep < 12; sweep++)
    for (const [p, q] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      if (Math.abs(a[p][q]) < 1e-9) continue;
      const angle = 0.5 * Math.atan2(2 * a[p][q], a[q][q] - a[p][p]);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      for (let k = 0; k < 3; k++)
        [a[k][p], a[k][q]] = [cos * a[k][p] - sin * a[k][q], sin * a[k][p] + cos * a[k][q]];
      for (let k = 0; k < 3; k++)
        [a[p][k], a[q][k]] = [cos * a[p][k] - sin * a[q][k], sin * a[p][k] + cos * a[q][k]];
      for (let k = 0; k < 3; k++)
        [v[k][p], v[k][q]] = [cos * v[k][p] - sin * v[k][q], sin * v[k][p] + cos * v[k][q]];
    }
  return { values: [a[0][0], a[1][1], a[2][2]], vectors: v };
}

async function gradient(source, { gain }, stopped) {
  const { width, height } = source;
  const grey = await greyOf(source, stopped);
  const at = (x, y) => grey[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))];
  return drawn(
    source,
    (i, x, y, set) => {
      const across = gain * (at(x + 1, y) - at(x - 1, y));
      const down = gain * (at(x, y + 1) - at(x, y - 1));
      set(i, clamp(127.5 + across), clamp(127.5 + down), clamp(Math.hypot(across, down)));
    },
    stopped,
  );
}

function bitPlane(source, { channel, bit }, stopped) {
  const { data } = source;
  return drawn(
    source,
    (i, x, y, set) => {
      const level = channel ? data[i + channel - 1] : Math.round(luminance(data, i));
      const value = (level >> bit) & 1 ? 255 : 0;
      set(i, value, value, value);
    },
    stopped,
  );
}

async function greyOf({ width, height, data }, stopped) {
  const grey = new Float32Array(width * height);
  const row = (y) => {
    for (let k = y * width; k < (y + 1) * width; k++) grey[k] = luminance(data, 4 * k);
  };
  await inStrips(height, row, stopped);
  return grey;
}

/** Stretch the contrast of a small picture in place: each channel's 1st to 99th percentile fills the range. */
export function stretch({ data }) {
  const count = data.length / 4;
  for (let c = 0; c < 3; c++) {
    const histogram = new Uint32Array(256);
    for (let i = c; i < data.length; i += 4) histogram[data[i]]++;
    const level = (share) => {
      let sum = 0;
      return histogram.findIndex((each) => (sum += each) > share * count);
    };
    const [low, high] = [level(0.01), Math.max(level(0.99), level(0.01) + 1)];
    for (let i = c; i < data.length; i += 4) data[i] = (255 * (data[i] - low)) / (high - low);
  }
}
