// The picture, and the layers shown over it, made from maps: 8-bit levels, in which 255 stands for 1.

import * as api from "./api.js";

export const MASK_COLOUR = [0, 224, 110];
export const LONGEST_PICTURE = 4096; // Pixels per side of a picture as it is shown.

let colours = null;

/** Load the 256 colours of the scale in which the server draws heatmaps. */
export async function loadColours() {
  const { data } = await pixelsOf(await (await fetch("page/colours.png")).blob());
  colours = Array.from({ length: 256 }, (_, level) => data.subarray(4 * level, 4 * level + 3));
}

/** Return the map in a grey PNG: `{width, height, levels}`. */
export async function levelsOf(blob) {
  const { width, height, data } = await pixelsOf(blob);
  return { width, height, levels: Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]) };
}

/** Return whether a coloured map is 0 everywhere. */
export async function isEmpty(blob) {
  const { data } = await pixelsOf(blob);
  const lowest = packed(...colours[0], 255);
  return new Uint32Array(data.buffer).every((pixel) => pixel === lowest);
}

/** Return the server's mask at the size of `map`: 1 where marked, else 0. */
export async function maskOf(blob, map) {
  const size = { resizeWidth: map.width, resizeHeight: map.height, resizeQuality: "medium" };
  const { data } = await pixelsOf(blob, size);
  return Uint8Array.from({ length: map.levels.length }, (_, i) => (data[4 * i] > 127 ? 1 : 0));
}

/** Return the mask of a map's pixels at or above a threshold, 0 to 1. */
export function maskAt(map, threshold) {
  const lowest = Math.max(1, Math.round(255 * threshold));
  return map.levels.map((level) => (level >= lowest ? 1 : 0));
}

export function share(mask) {
  let count = 0;
  for (const marked of mask) count += marked;
  return count / mask.length;
}

/** Return a map in colours. Over a picture, low values let the picture show through. */
export function heatLayer(map, overPicture) {
  const palette = colours.map(([red, green, blue], level) =>
    packed(red, green, blue, overPicture ? Math.min(255, 20 + 2.6 * level) : 255),
  );
  return painted(map, (i) => palette[map.levels[i]]);
}

export function maskLayer(map, mask, overPicture) {
  const marked = packed(...MASK_COLOUR, overPicture ? 150 : 255);
  const rest = overPicture ? packed(0, 0, 0, 110) : packed(38, 46, 56, 255);
  return painted(map, (i) => (mask[i] ? marked : rest));
}

/** Return one pixel as image data stores it in memory. */
function packed(...channels) {
  return new Uint32Array(Uint8ClampedArray.from(channels).buffer)[0];
}

function painted({ width, height, levels }, pixelOf) {
  const layer = canvas(width, height);
  const context = layer.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < levels.length; i++) pixels[i] = pixelOf(i);
  context.putImageData(image, 0, 0);
  return layer;
}

/**
 * Return the upright picture of width x height in a file, at most `LONGEST_PICTURE` per side; null if the file is
 * of another picture. The server draws what this browser cannot read.
 */
export async function pictureOf(blob, size) {
  return (await decoded(blob, size)) ?? decoded(await api.preview(blob), size);
}

async function decoded(blob, { width, height }) {
  const longest = Math.max(width, height);
  const scale = Math.min(1, LONGEST_PICTURE / longest);
  try {
    const whole = await createImageBitmap(blob);
    if (Math.abs(whole.width / whole.height - width / height) > 0.01 * (width / height)) return null;
    if (scale === 1) return whole;
    const size = { resizeWidth: Math.round(width * scale), resizeHeight: Math.round(height * scale) };
    const smaller = await createImageBitmap(whole, { ...size, resizeQuality: "high" });
    whole.close();
    return smaller;
  } catch {
    return null;
  }
}

/** Return a small square crop of a picture as a data URL, and its megapixels; both null if it cannot be read. */
export async function thumbnailOf(blob, side = 112) {
  try {
    const bitmap = await createImageBitmap(blob);
    const megapixels = (bitmap.width * bitmap.height) / 1e6;
    const cut = Math.min(bitmap.width, bitmap.height);
    const from = [(bitmap.width - cut) / 2, (bitmap.height - cut) / 2, cut, cut];
    const small = canvas(side, side);
    const context = onWhite(small);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, ...from, 0, 0, side, side);
    bitmap.close();
    return { thumbnail: small.toDataURL("image/jpeg", 0.8), megapixels };
  } catch {
    return { thumbnail: null, megapixels: null };
  }
}

/** Return the picture with the mask in green as a PNG, as the server draws it; null if it is too large. */
export async function overlayFile(pictureFile, maskFile) {
  const { data: marks } = await pixelsOf(maskFile);
  const image = await pixelsOf(pictureFile, {}, onWhite);
  for (let i = 0; i < marks.length; i += 4) {
    if (marks[i] < 128) continue;
    image.data[i] >>= 1;
    image.data[i + 1] = (image.data[i + 1] >> 1) + 128;
    image.data[i + 2] >>= 1;
  }
  const sheet = canvas(image.width, image.height);
  sheet.getContext("2d").putImageData(image, 0, 0);
  return new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
}

/** Return the pixels of a file as stored, without colour management. */
async function pixelsOf(blob, size = {}, ground = contextOf) {
  const bitmap = await createImageBitmap(blob, { ...size, colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = ground(canvas(width, height));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Return the context of a canvas filled with white, on which transparent pictures are analysed. */
function onWhite(sheet) {
  const context = contextOf(sheet);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, sheet.width, sheet.height);
  return context;
}

function contextOf(sheet) {
  return sheet.getContext("2d", { willReadFrequently: true });
}

function canvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
