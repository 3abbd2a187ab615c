// Creating elements, announcing to screen readers, and formatting values.

import { dateAndTime, decimal, significant, t } from "./language.js";

const SVG = "http://www.w3.org/2000/svg";

/** Return an element. Attributes that are functions become event listeners; null ones are left out. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Return a decorative SVG element, hidden from screen readers. */
export function icon(path, box = 24) {
  const shape = filled(document.createElementNS(SVG, "path"), { d: path }, []);
  const attributes = { viewBox: `0 0 ${box} ${box}`, "aria-hidden": "true", class: "icon" };
  return filled(document.createElementNS(SVG, "svg"), attributes, [shape]);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value !== "boolean" || /^(aria|data)-/.test(name))
      element.setAttribute(name, String(value));
    else element.toggleAttribute(name, value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

export const ICONS = {
  manipulated: "M12 3 2 20.5h20L12 3Zm0 6.5v5m0 2.6v.4",
  inconclusive:
    "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19ZM9 9.4a3 3 0 1 1 4.4 2.7c-.9.5-1.4 1-1.4 2.2m0 2.8v.4",
  authentic: "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19ZM7.8 12.3l2.9 2.9 5.6-6",
  failed: "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19ZM8.5 8.5l7 7m0-7-7 7",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 2.5-2.5L20 17M15.5 9.2v.1",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
};

/** Announce text to screen readers without moving the focus. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** Save a blob as a file of the user. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  announce(t("{name} was saved.", { name }));
}

/** Return a description of a picture whose name is not known. */
export function described({ format, width, height }) {
  return `${format}, ${width} × ${height}`;
}

/** Return a share, 0 to 1, as the reports print it: `2 %`, `0.4 %` or `< 0.1 %`. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return `<\u00a0${decimal(0.1, 1)}\u00a0%`;
  const value = 100 * share;
  const digits = value === 0 || value >= 9.95 ? 0 : 1;
  return `${/\.0$/.test(value.toFixed(digits)) ? decimal(value) : decimal(value, digits)}\u00a0%`;
}

/** Return a score, 0 to 1, as the reports print it: 0.01 to 0.99, because no score is certain. */
export function printedScore(score) {
  return Math.min(0.99, Math.max(0.01, score)).toFixed(2);
}

/** Return a score as `printedScore`, with the decimal point of the page's language. */
export function scoreText(score) {
  return decimal(Number(printedScore(score)), 2);
}

export function bytes(count) {
  if (count < 1000) return t("{count} bytes", { count });
  const [amount, unit] = count < 999_500 ? [count / 1e3, "kB"] : [count / 1e6, "MB"];
  return `${significant(amount, 3)}\u00a0${unit}`;
}

/** Return a limit in bytes, which is often a round number of MiB. */
export function wholeBytes(count) {
  return count % 2 ** 20 ? bytes(count) : `${count / 2 ** 20}\u00a0MiB`;
}

/** Return a time in seconds. */
export function seconds(count) {
  return t("{count} s", { count });
}

export function moment(text) {
  return h("time", { datetime: text }, dateAndTime(new Date(text)));
}

/** Return a text with a capital first letter. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
