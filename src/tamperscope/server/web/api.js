// Requests to the server. Every failure becomes a `Problem` that states what happened and what to do.

import { language } from "./language.js";
import { Problem, problemOf } from "./problem.js";
import { key } from "./session.js";

/** Addresses are relative to the page, so that it works behind a proxy that adds a path prefix. */
const ANALYSES = "v1/analyses";
const JOBS = "v1/jobs";

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "");
  }
  if (!response.ok)
    throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

function headers() {
  return { Accept: "application/json", "Accept-Language": language, ...(key() ? { Authorization: `Bearer ${key()}` } : {}) };
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

/** Replace what people added to an analysis; return what is stored now. */
export async function describe(id, added) {
  const options = { method: "PUT", body: JSON.stringify(added), headers: { "Content-Type": "application/json" } };
  return (await ask(`${ANALYSES}/${encodeURIComponent(id)}/case`, options)).json();
}

/** Say what the picture of an analysis really is; return what is stored now. */
export async function correct(id, feedback) {
  const options = { method: "PUT", body: JSON.stringify(feedback), headers: { "Content-Type": "application/json" } };
  return (await ask(`${ANALYSES}/${encodeURIComponent(id)}/feedback`, options)).json();
}

export async function takeBack(id) {
  await ask(`${ANALYSES}/${encodeURIComponent(id)}/feedback`, { method: "DELETE" });
}

/** Return the address of the analyses that fit: `search`, `verdict` and `tag`, each possibly empty. */
export function searchAddress(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value);
  return `${ANALYSES}?${new URLSearchParams([["limit", "20"], ...given])}`;
}

/** Delete an analysis, even while the page is being closed. */
export function removeOnLeaving(id) {
  return ask(`${ANALYSES}/${encodeURIComponent(id)}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

export async function remove(id) {
  await ask(`${ANALYSES}/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** Return a picture as an analysis sees it, as a JPEG, for a browser that cannot read the file itself. */
export async function preview(picture) {
  const form = new FormData();
  form.append("image", picture, "picture");
  return (await ask("v1/preview", { method: "POST", body: form, headers: { Accept: "*/*" } })).blob();
}

/** Return how another version of a picture lies over it, and where they differ. */
export async function compare(picture, other) {
  const form = new FormData();
  form.append("image", picture, "picture");
  form.append("other", other, "picture");
  return (await ask("v1/compare", { method: "POST", body: form })).json();
}

/** Return the file behind one of an analysis's links. */
export async function file(link) {
  return (await ask(own(link), { headers: { Accept: "*/*" } })).blob();
}

/** Analyse a file; `onSent` receives the share sent, 0 to 1. */
export function analyse(picture, { keep, priv, onSent, signal }) {
  const form = new FormData();
  // The file's name is private, and the server does not need it.
  form.append("image", picture, "picture");
  if (keep) form.append("keep", "true");
  if (priv) form.append("private", "true");
  return post(ANALYSES, form, { onSent, signal });
}

/** Submit files as one job; a repeated request with the same `key` creates no second one. */
export function submitJob(pictures, { keep, key: idempotency, onSent, signal }) {
  const form = new FormData();
  for (const picture of pictures) form.append("image", picture, "picture");
  if (keep) form.append("keep", "true");
  return post(JOBS, form, { onSent, signal, more: { "Idempotency-Key": idempotency } });
}

export async function jobResults(link) {
  return (await ask(own(link))).json();
}

/** Stop a job, even while the page is being closed. */
export function cancelJob(id) {
  return ask(`${JOBS}/${id}/cancel`, { method: "POST", keepalive: true }).catch(() => {});
}

export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join("-");
}

/** Return whether the server has loaded its model. */
export async function ready() {
  try {
    await (await ask("ready")).text();
    return true;
  } catch {
    return false;
  }
}

/** Send a form; `fetch` does not report upload progress. */
function post(address, form, { onSent, signal, more = {} }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    for (const [name, value] of Object.entries({ ...headers(), ...more }))
      request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    request.upload.onload = () => onSent(1);
    request.onerror = () => reject(new Problem(0, ""));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onload = () => {
      if ([200, 201, 202].includes(request.status)) resolve(JSON.parse(request.responseText));
      else
        reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function own(link) {
  return link.replace(/^\//, "");
}
