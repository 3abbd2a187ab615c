// What went wrong, in words that a reader can act on. Advice follows the kind of problem, not its status alone.

import { bytes } from "./dom.js";

const KINDS = {
  "no-image": ["Nothing to analyse", "Choose a file that is not empty."],
  "image-too-large": [
    "Too large",
    "Ask the server's operator to raise the limit. Scaling the picture down or saving it again destroys traces.",
  ],
  "image-too-small": [
    "Too small",
    "Look for a larger version of the picture. Enlarging this one would add no traces.",
  ],
  "unsupported-image": ["Not a supported picture format", "Ask for the picture in its original format."],
  "damaged-image": [
    "Cannot be read",
    "The file may have been cut off in transfer. Get it again from its source.",
  ],
  "not-ready": ["Starting up", "The server is loading its model."],
  busy: ["The server is busy", "Nothing is wrong with the picture."],
  store: ["The database cannot be used", "Nothing is wrong with the picture. Tell the server's operator."],
  "no-room": [
    "The server's disk is full",
    "Nothing is wrong with the picture. Tell the server's operator.",
  ],
  quota: ["No room for more analyses", "The history lists yours."],
  "too-many-jobs": ["Too many pictures at once", "The server finishes earlier ones first."],
};

const STATUSES = {
  0: ["No answer", "The server cannot be reached. Is it running, and are you connected?"],
  400: ["Nothing to analyse", ""],
  401: ["A key is needed", "Enter the key that the server's operator gave you."],
  403: ["Not allowed", "This key does not permit that. Ask the server's operator."],
  404: ["Not found", ""],
  413: KINDS["image-too-large"],
  415: KINDS["unsupported-image"],
  422: ["Cannot be analysed", ""],
  429: ["Too many requests", "This server limits how often you can send requests."],
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
      STATUSES[status] ?? ["Something went wrong", "The server's log has the details."];
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
  const detail = `The file is ${bytes(size)}; this server accepts up to ${bytes(limit)}.`;
  return new Problem(413, detail, { kind: "image-too-large" });
}
