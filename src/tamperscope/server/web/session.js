// What this tab remembers until it is closed, and nobody else learns: the key, and what pictures looked like.

const KEY = "tamperscope.key";
const SEEN = "tamperscope.seen.";

export function key() {
  return sessionStorage.getItem(KEY);
}

export function useKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Remember name and thumbnail (a data address, or null) of the picture behind an analysis. */
export function remember(id, name, thumbnail) {
  try {
    sessionStorage.setItem(SEEN + id, JSON.stringify({ name, thumbnail }));
  } catch {
    // The tab's store is full; history then shows no name, and nothing else suffers.
  }
}

export function remembered(id) {
  return JSON.parse(sessionStorage.getItem(SEEN + id) ?? "null");
}

export function forget(id) {
  sessionStorage.removeItem(SEEN + id);
}
