// What the browser remembers, and sends to no one: the key, and the names and thumbnails of pictures. Until the
// tab is closed; names and thumbnails for longer if the reader asks for it.

const KEY = "tamperscope.key";
const SEEN = "tamperscope.seen.";
const LASTING = "tamperscope.lasting";
const MOST_REMEMBERED = 500;

export function key() {
  return sessionStorage.getItem(KEY);
}

export function useKey(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** Return whether names and thumbnails outlive the tab. */
export function lasting() {
  return localStorage.getItem(LASTING) !== null;
}

/** Let names and thumbnails outlive the tab, or no longer. */
export function setLasting(yes) {
  const [from, to] = yes ? [sessionStorage, localStorage] : [localStorage, sessionStorage];
  for (const name of remembering(from)) {
    write(to, name, from.getItem(name));
    from.removeItem(name);
  }
  if (yes) write(localStorage, LASTING, "");
  else localStorage.removeItem(LASTING);
}

/** Remember the name and thumbnail (a data URL, or null) of an analysed picture. */
export function remember(id, name, thumbnail) {
  const place = lasting() ? localStorage : sessionStorage;
  write(place, SEEN + id, JSON.stringify({ name, thumbnail, at: Date.now() }));
  const all = remembering(place);
  if (all.length <= MOST_REMEMBERED) return;
  const age = (each) => JSON.parse(place.getItem(each)).at ?? 0;
  for (const old of all.sort((one, other) => age(one) - age(other)).slice(0, all.length - MOST_REMEMBERED))
    place.removeItem(old);
}

export function remembered(id) {
  return JSON.parse(sessionStorage.getItem(SEEN + id) ?? localStorage.getItem(SEEN + id) ?? "null");
}

export function forget(id) {
  for (const place of [sessionStorage, localStorage]) place.removeItem(SEEN + id);
}

function remembering(place) {
  return Object.keys(place).filter((name) => name.startsWith(SEEN));
}

function write(place, name, text) {
  try {
    place.setItem(name, text);
  } catch {
    // The storage is full. The only effect is that the history shows no name.
  }
}
