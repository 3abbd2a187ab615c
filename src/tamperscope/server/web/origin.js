// What a file proves and declares about where it comes from.

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./language.js";
import { occupied } from "./occupied.js";

const BASES = { proven: t("Proven"), signed: t("Signed"), declared: t("Declared") };

/** Return what the file proves and declares about where it comes from; null if it says nothing. */
export function origin({ id, origin, evidence, image, words }, file) {
  const located = evidence.metadata?.details.located && (file || image.kept);
  if (!origin.claims.length && !located) return null;
  return h(
    "section",
    { class: "origin card" },
    h("h2", {}, t("Origin of the file")),
    h("p", {}, h("b", {}, h("bdi", {}, origin.headline))),
    origin.rule && !words.meaning.startsWith(origin.rule.text) ? h("p", {}, origin.rule.text) : null,
    h(
      "ul",
      {},
      origin.claims.map((claim) =>
        h(
          "li",
          {},
          h("bdi", {}, claim.text),
          h("span", { class: "note" }, ` ${BASES[claim.basis]}: `, h("bdi", {}, claim.source), `. ${claim.belief}`),
        ),
      ),
    ),
    located ? place(id, file) : null,
  );
}

/** Return a button that shows where the picture was taken. No one but the reader opens the map. */
function place(id, file) {
  const shown = h("p", { class: "place" });
  const show = async () => {
    const found = await api.location(id, file);
    shown.replaceChildren(
      found
        ? h(
            "span",
            {},
            `${t("The file states {latitude}, {longitude}.", { latitude: String(found.latitude), longitude: String(found.longitude) })} `,
            h("a", { href: found.map, target: "_blank", rel: "noopener noreferrer" }, t("Open a map")),
          )
        : t("The file states no position."),
    );
  };
  shown.append(
    h(
      "button",
      { type: "button", class: "small", click: (event) => occupied(event.currentTarget, show) },
      t("Show where it was taken, as the file states"),
    ),
  );
  return shown;
}
