// Asking the server. Every failure becomes a `Problem` that says what happened and what to do.

import { key } from "./session.js";

/** Addresses are relative to the page, so that it works behind a proxy that puts a folder in front. */
const ANALYSES = "v1/analyses";

export class Problem extends Error {
  /** `status` is 0 where no answer came at all. */
  constructor(status, detail, wait = null) {
    super(detail);
    this.status = status;
    this.wait = wait;
    [this.title, this.advice] = explained(status);
  }

  get passing() {
    return [0, 429, 500, 502, 503, 504].includes(this.status);
  }
}

function explained(status) {
  const known = {
    0: ["No answer", "The server cannot be reached. Is it running, and are you connected?"],
    400: ["Nothing to analyse", "Choose a file that has something in it."],
    401: ["A key is needed", "Enter the key that the server's operator gave you."],
    403: ["Not allowed", "This key may not do that. Ask the server's operator."],
    404: ["Not here", ""],
    413: [
      "Too large",
      "Save the picture smaller, or cut out the part in question without saving it anew as JPEG.",
    ],
    415: ["Not a picture we read", ""],
    422: [
      "Cannot be read",
      "The file may have been cut off on its way. Get it once more from where it came from.",
    ],
    429: ["Too fast", "This server limits how often one may ask."],
    503: ["The server is busy", "Nothing is wrong with the picture."],
  };
  return known[status] ?? ["Something went wrong", "The server's log says more."];
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "");
  }
  if (!response.ok)
    throw problem(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

function headers() {
  return { Accept: "application/json", ...(key() ? { Authorization: `Bearer ${key()}` } : {}) };
}

function problem(status, body, wait) {
  let detail = "";
  try {
    detail = JSON.parse(body).detail;
  } catch {
    // Not ours: some proxy's page.
  }
  return new Problem(status, detail, Number(wait) || null);
}

/** What the server is: its limits, how long it keeps findings, whether it asks for keys. */
export async function server() {
  return (await ask("./")).json();
}

export async function history(address = `${ANALYSES}?limit=20`) {
  return (await ask(own(address))).json();
}

export async function analysis(id) {
  return (await ask(`${ANALYSES}/${encodeURIComponent(id)}`)).json();
}

export async function remove(id) {
  await ask(`${ANALYSES}/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** The file behind one of an analysis' links. */
export async function file(link) {
  return (await ask(own(link), { headers: { Accept: "*/*" } })).blob();
}

/** Analyse a file; `onSent` hears 0 to 1 while it is on its way. Not by fetch, which does not tell that. */
export function analyse(picture, { keep, onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    // The picture's name is nobody's business but the user's.
    form.append("image", picture, "picture");
    if (keep) form.append("keep", "true");
    request.open("POST", ANALYSES);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    request.upload.onload = () => onSent(1);
    request.onerror = () => reject(new Problem(0, ""));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onload = () => {
      if (request.status === 200 || request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function own(link) {
  return link.replace(/^\//, "");
}
