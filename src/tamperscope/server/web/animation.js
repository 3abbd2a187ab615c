// The picture and its findings in turn, as an animated WebP to publish. Made in the browser; nothing is sent.

import { t } from "./language.js";
import { Problem } from "./problem.js";

const LONGEST_SIDE = 1280;
const FRAME_MILLISECONDS = 1200;
const QUALITY = 0.85;
const PIXELS = new Set(["VP8 ", "VP8L"]); // Chunks of an opaque still WebP that hold its pixels.

/**
 * Return the animation of a picture of width x height. `draw(context, scale)` draws the findings over the picture,
 * in pixels of the picture; `scale` is how large one of them is drawn.
 */
export async function animation(picture, { width, height }, draw) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const size = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  // Both are drawn at once: the reader may leave, which closes the picture, while the first is being written.
  const sheets = [false, true].map((found) => {
    const sheet = new OffscreenCanvas(...size);
    const context = sheet.getContext("2d", { alpha: false });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, ...size);
    context.scale(size[0] / width, size[1] / height);
    context.drawImage(picture, 0, 0, width, height);
    if (found) draw(context, scale);
    return sheet;
  });
  const frames = await Promise.all(sheets.map((sheet) => sheet.convertToBlob({ type: "image/webp", quality: QUALITY })));
  if (frames.some(({ type }) => type !== "image/webp"))
    throw new Problem(415, t("This browser cannot write WebP files."));
  return new Blob(animated(await Promise.all(frames.map(pixelChunks)), ...size), { type: "image/webp" });
}

/** Return the parts of an animated WebP that shows frames in turn, without end. */
function animated(frames, width, height) {
  const large = [...three(width - 1), ...three(height - 1)];
  const shown = frames.map((chunks) =>
    chunk("ANMF", Uint8Array.from([...three(0), ...three(0), ...large, ...three(FRAME_MILLISECONDS), 2]), ...chunks),
  );
  const body = [
    ...chunk("VP8X", Uint8Array.from([2, 0, 0, 0, ...large])),
    ...chunk("ANIM", new Uint8Array(6)),
    ...shown.flat(),
  ];
  return [...head("RIFF", 4 + sizeOf(body)), ascii("WEBP"), ...body];
}

/** Return the chunks of a still WebP that hold its pixels, as they are. */
async function pixelChunks(still) {
  const data = new Uint8Array(await still.arrayBuffer());
  const view = new DataView(data.buffer);
  const found = [];
  for (let at = 12; at + 8 <= data.length; ) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (PIXELS.has(String.fromCharCode(...data.subarray(at, at + 4)))) found.push(data.subarray(at, end + (end & 1)));
    at = end + (end & 1);
  }
  return found;
}

function chunk(name, ...parts) {
  const size = sizeOf(parts);
  return [...head(name, size), ...parts, new Uint8Array(size & 1)];
}

function head(name, size) {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, size, true);
  return [ascii(name), length];
}

function sizeOf(parts) {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function ascii(text) {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Return the three bytes of a number, the lowest first. */
function three(value) {
  return [value & 255, (value >> 8) & 255, value >> 16];
}
