// Another version of a picture: laid over it, and where the two differ.

import * as api from "./api.js";
import { h, percent } from "./dom.js";
import { t } from "./language.js";
import { LONGEST_PICTURE, pictureOf } from "./layers.js";

/**
 * Lay another version of a picture over it: `file` is the picture, width x height, and `other` the file of the
 * other version. Return what was found in words, whether they could be laid over each other, the regions that
 * differ, in pixels of the picture, and the other version: in the picture's frame if they could, else as it is.
 */
export async function laidOver(file, { width, height }, other) {
  const { aligned, finding, differences, matrix, other: size } = await api.compare(file, other);
  const picture = await pictureOf(other, size);
  return {
    aligned,
    finding,
    size: aligned ? { width, height } : size,
    regions: differences.map((each) => ({ ...each, box: boxOf(each.polygon), source: null })),
    picture: aligned && picture ? warped(picture, matrix, { width, height }, size) : picture,
  };
}

/** Return one button for each region that differs; `show` receives its number. */
export function differences(regions, show) {
  return regions.map(({ label, place, area_share: share }, number) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "small", click: () => show(number) },
        `${label}: ${place}${t(", ")}${percent(share)}`,
      ),
    ),
  );
}

/** Return the second picture in the frame of the first: transparent where it shows nothing of the first. */
function warped(picture, [[a, c, e], [b, d, f]], first, second) {
  const scale = Math.min(1, LONGEST_PICTURE / Math.max(first.width, first.height));
  const sheet = new OffscreenCanvas(Math.round(first.width * scale), Math.round(first.height * scale));
  const context = sheet.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.setTransform(scale * a, scale * b, scale * c, scale * d, scale * e, scale * f);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, second.width, second.height);
  context.drawImage(picture, 0, 0, second.width, second.height);
  return sheet;
}

function boxOf(points) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
}
