// Requests to the server. Every failure becomes a `Problem` that states what happened and what to do.

import { key } from "./session.js";

/** Addresses are relative to the page, so that it works behind a proxy that adds a path prefix. */
const ANALYSES = "v1/analyses";

export class Problem extends Error {
  /** `status` is 0 if the server did not respond. */
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
    400: ["Nothing to analyse", "Choose a file that is not empty."],
    401: ["A key is needed", "Enter the key that the server's operator gave you."],
    403: ["Not allowed", "This key does not permit that. Ask the server's operator."],
    404: ["Not found", ""],
    413: [
      "Too large",
      "Scale the picture down, or crop it to the part in question without saving it as JPEG again.",
    ],
    415: ["Not a supported picture format", ""],
    422: [
      "Cannot be read",
      "The file may have been cut off in transfer. Get it again from its source.",
    ],
    429: ["Too many requests", "This server limits how often you can send requests."],
    503: ["The server is busy", "Nothing is wrong with the picture."],
  };
  return known[status] ?? ["Something went wrong", "The server's log has the details."];
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
    // The response is a proxy's page, not this server's JSON.
  }
  return new Problem(status, detail, Number(wait) || null);
}

/** Return the server's limits, how long it keeps findings, and whether it requires keys. */
export async function server() {
  return (await ask("./")).json();
}

export async function history(address = `${ANALYSES}?limit=20`) {
  return (await ask(own(address))).json();
}

export async function analysis(id) {
  return (await ask(`${ANALYSES}/${encodeURIComponent(id)}`)).json();
}

/** Return where a picture was taken, as its file states; null if it states nothing, or the server has no file. */
export async function location(id, picture) {
  if (!picture)
    return (await (await ask(`${ANALYSES}/${encodeURIComponent(id)}?location=true`)).json()).location ?? null;
  const form = new FormData();
  form.append("image", picture, "picture");
  return (await (await ask(`${ANALYSES}?location=true`, { method: "POST", body: form })).json()).location ?? null;
}

export async function remove(id) {
  await ask(`${ANALYSES}/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** Return the file behind one of an analysis's links. */
export async function file(link) {
  return (await ask(own(link), { headers: { Accept: "*/*" } })).blob();
}

/** Analyse a file; `onSent` receives the share sent, 0 to 1. `fetch` does not report upload progress. */
export function analyse(picture, { keep, onSent, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    // The file's name is private, and the server does not need it.
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
