// The parts of a JPEG file (ITU-T T.81, Annex B), read from its bytes.

import { t } from "./language.js";

const NAMES = {
  0xc4: t("Huffman tables"),
  0xd8: t("Start of the image"),
  0xd9: t("End of the image"),
  0xda: t("Scan"),
  0xdb: t("Quantisation tables"),
  0xdd: t("Restart interval"),
  0xfe: t("Comment"),
};
const FRAMES = {
  0xc0: t("baseline"),
  0xc1: t("extended"),
  0xc2: t("progressive"),
  0xc9: t("arithmetic"),
};
const MOST_PARTS = 400;

/** Return the parts of a file: `{offset, name, length}` in bytes; empty if it is no JPEG. */
export async function jpegParts(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return [];
  const parts = [{ offset: 0, name: NAMES[0xd8], length: 2 }];
  for (let at = 2; at + 1 < bytes.length && parts.length < MOST_PARTS; ) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xff) {
      if (bytes[at] === 0xff) {
        at++;
        continue;
      }
      parts.push({ offset: at, name: t("Bytes that belong to no part"), length: bytes.length - at });
      break;
    }
    const bare = marker === 0xd9 || marker === 0x01;
    const declared = bare ? 2 : 2 + (bytes[at + 2] << 8) + bytes[at + 3];
    const end = marker === 0xda ? endOfScan(bytes, at + declared) : at + declared;
    parts.push({ offset: at, name: nameOf(marker, bytes, at), length: Math.min(end, bytes.length) - at });
    at = Math.max(end, at + 2);
    if (marker === 0xd9) {
      if (at < bytes.length)
        parts.push({ offset: at, name: t("Bytes after the end of the image"), length: bytes.length - at });
      break;
    }
  }
  return parts;
}

/** Return where the next marker begins after compressed data. */
function endOfScan(bytes, from) {
  for (let at = from; at + 1 < bytes.length; at++) {
    if (bytes[at] !== 0xff) continue;
    const next = bytes[at + 1];
    // Stuffed zeros and restart markers belong to the scan.
    if (next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7)) return at;
  }
  return bytes.length;
}

function nameOf(marker, bytes, at) {
  if (marker >= 0xe0 && marker <= 0xef) {
    const text = String.fromCharCode(...bytes.subarray(at + 4, at + 34)).match(/^[\x20-\x7e]{2,28}/)?.[0];
    return `${t("Application data {number}", { number: marker - 0xe0 })}${text ? `: ${text}` : ""}`;
  }
  if (NAMES[marker]) return NAMES[marker];
  if (marker >= 0xc0 && marker <= 0xcf) {
    const [height, width] = [5, 7].map((offset) => (bytes[at + offset] << 8) + bytes[at + offset + 1]);
    return t("Frame, {kind}, {width} × {height}, {components} components", {
      kind: FRAMES[marker] ?? t("of another kind"),
      width: String(width),
      height: String(height),
      components: bytes[at + 9],
    });
  }
  return t("Marker {number}", { number: marker.toString(16).toUpperCase() });
}
