// What went wrong, in words that a reader can act on. Advice follows the kind of problem, not its status alone.

import { bytes } from "./dom.js";
import { t } from "./language.js";

const KINDS = {
  "no-image": [t("Nothing to analyse"), t("Choose a file that is not empty.")],
  "image-too-large": [
    t("Too large"),
    t("Ask the server's operator to raise the limit. Scaling the picture down or saving it again destroys traces."),
  ],
  "image-too-small": [
    t("Too small"),
    t("Look for a larger version of the picture. Enlarging this one would add no traces."),
  ],
  "unsupported-image": [t("Not a supported picture format"), t("Ask for the picture in its original format.")],
  "damaged-image": [
    t("Cannot be read"),
    t("The file may have been cut off in transfer. Get it again from its source."),
  ],
  "not-ready": [t("Starting up"), t("The server is loading its model.")],
  busy: [t("The server is busy"), t("Nothing is wrong with the picture.")],
  store: [t("The database cannot be used"), t("Nothing is wrong with the picture. Tell the server's operator.")],
  "no-room": [t("The server's disk is full"), t("Nothing is wrong with the picture. Tell the server's operator.")],
  quota: [t("No room for more analyses"), t("The history lists yours.")],
  "too-many-jobs": [t("Too many pictures at once"), t("The server finishes earlier ones first.")],
};

const STATUSES = {
  0: [t("No answer"), t("The server cannot be reached. Is it running, and are you connected?")],
  400: [t("Nothing to analyse"), ""],
  401: [t("A key is needed"), t("Enter the key that the server's operator gave you.")],
  403: [t("Not allowed"), t("This key does not permit that. Ask the server's operator.")],
  404: [t("Not found"), ""],
  413: KINDS["image-too-large"],
  415: KINDS["unsupported-image"],
  422: [t("Cannot be analysed"), ""],
  429: [t("Too many requests"), t("This server limits how often you can send requests.")],
  503: KINDS.busy,
};

export class Problem extends Error {
  /** `status` is 0 if the server did not respond; `kind` is the last word of a problem's type. */
  constructor(status, detail, { kind = "", wait = null } = {}) {
    super(detail);
    this.status = status;
    this.kind = kind;
    this.wait = wait;
    [this.title, this.advice] = KINDS[kind] ??
      STATUSES[status] ?? [t("Something went wrong"), t("The server's log has the details.")];
  }

  /** Whether the same request may succeed later without anyone doing anything. */
  get passing() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }

  /** Whether it is worth pressing a button for another try. */
  get retriable() {
    return this.passing || this.status === 500;
  }
}

/** Return the problem in a server's answer. */
export function problemOf(status, body, wait) {
  let detail = "";
  let kind = "";
  try {
    const told = JSON.parse(body);
    [detail, kind] = [told.detail, kindOf(told.type)];
  } catch {
    // The response is a proxy's page, not this server's JSON.
  }
  return new Problem(status, detail, { kind, wait: Number(wait) || null });
}

/** Return the last word of a problem's type: `busy` of `urn:tamperscope:problem:busy`. */
export function kindOf(type) {
  return type?.split(":").at(-1) ?? "";
}

export function tooLarge(size, limit) {
  const detail = t("The file is {size}; this server accepts up to {limit}.", { size: bytes(size), limit: bytes(limit) });
  return new Problem(413, detail, { kind: "image-too-large" });
}
