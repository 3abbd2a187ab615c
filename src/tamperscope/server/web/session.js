// What this tab remembers until it is closed, and shares with no one: the key, picture names and thumbnails.

const KEY = "tamperscope.key";
const SEEN = "tamperscope.seen.";

export function key() {
  return sessionStorage.getItem(KEY);
}

export function useKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Remember the name and thumbnail (a data URL, or null) of an analysed picture. */
export function remember(id, name, thumbnail) {
  try {
    sessionStorage.setItem(SEEN + id, JSON.stringify({ name, thumbnail }));
  } catch {
    // The tab's storage is full. The only effect is that the history shows no name.
  }
}

export function remembered(id) {
  return JSON.parse(sessionStorage.getItem(SEEN + id) ?? "null");
}

export function forget(id) {
  sessionStorage.removeItem(SEEN + id);
}
