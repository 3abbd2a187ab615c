// The first things that a reader sees: what was found, what to do next, and how sure that is.

import { announce, capital, h, icon, ICONS, percent, scoreText } from "./dom.js";
import { decimal, inSentence, t } from "./language.js";

/** Return the verdict and the strongest finding. */
export function verdict({ verdict, words }) {
  return h(
    "section",
    { class: "verdict card" },
    h("h1", { tabindex: -1 }, icon(ICONS[verdict]), h("bdi", {}, words.headline)),
    h("p", {}, words.finding),
  );
}

/** Return what the reader can do now. The links lead to searches by image; they send nothing. */
export function nextSteps({ words }) {
  return h(
    "section",
    { class: "steps card" },
    h("h2", {}, t("What to do next")),
    h("ol", {}, words.next_steps.map(step)),
  );
}

function step({ text, message, links }) {
  return h(
    "li",
    {},
    text,
    links.length
      ? [
          " ",
          ...links.flatMap(({ name, address }, i) => [
            i ? ", " : "",
            h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, name),
          ]),
          h("span", { class: "note" }, ` ${t("These links send nothing: the picture leaves only if you drop it there.")}`),
        ]
      : null,
    message && copyable(message),
  );
}

function copyable(message) {
  const text = h("blockquote", {}, message);
  const button = h("button", { type: "button", class: "small" }, t("Copy the text"));
  button.addEventListener("click", async () => {
    await copy(message, text);
    button.textContent = t("Copied");
    announce(t("The text was copied."));
  });
  return h("details", { class: "message" }, h("summary", {}, t("Show the text")), text, button);
}

/** Copy text. Pages that were loaded without encryption have no clipboard, but can copy what is selected. */
export async function copy(text, element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const selection = getSelection();
  selection.selectAllChildren(element);
  document.execCommand("copy");
  return selection.removeAllRanges();
}

/** Return score, error rates, types and reasons, folded. */
export function certainty(analysis) {
  const { words, score, reasons } = analysis;
  return h(
    "details",
    { class: "certainty folded card" },
    h(
      "summary",
      {},
      h("h2", {}, t("How sure is this?")),
      h("span", { class: "note" }, t("score {score}", { score: scoreText(score) })),
    ),
    h("p", {}, words.meaning),
    words.error_rates && h("p", {}, words.error_rates),
    scoreScale(score, analysis.operating_points),
    kinds(analysis),
    reasons.length
      ? [
          h("h3", {}, t("What moved the score")),
          h(
            "ul",
            {},
            reasons.map(({ text }) => h("li", {}, text)),
          ),
        ]
      : null,
  );
}

function scoreScale(score, points) {
  const parts = points
    ? [
        ["low", 0, points.authentic_below],
        ["middle", points.authentic_below, points.manipulated_above],
        ["high", points.manipulated_above, 1],
      ]
    : [["middle", 0, 1]];
  const at = (element, share) => (element.style.setProperty("--at", share), element);
  const limits = points ? [...new Set([points.authentic_below, points.manipulated_above])] : [];
  return h(
    "div",
    { class: "score", role: "img", "aria-label": t("Score {score} on a scale from 0 to 1", { score: scoreText(score) }) },
    at(h("b", {}, scoreText(score)), Math.min(0.96, Math.max(0.04, score))),
    at(h("i", {}), score),
    h(
      "div",
      { class: "track" },
      parts.map(([kind, from, to]) => at(h("span", { class: kind }), to - from)),
    ),
    h(
      "div",
      { class: "ends" },
      h("span", {}, "0"),
      limits.map((limit) => at(h("span", { class: "limit" }, decimal(limit, 2)), limit)),
      h("span", {}, "1"),
    ),
  );
}

function kinds({ verdict, type_scores: scores, words }) {
  if (verdict === "authentic") return null;
  const order = Object.entries(scores).sort(([, one], [, other]) => other - one);
  const bar = (share) => {
    const filled = h("span", { class: "fill" });
    filled.style.setProperty("--share", share);
    return filled;
  };
  return h(
    "div",
    { class: "kinds" },
    h("h3", {}, t("How it was manipulated, if it was")),
    h(
      "dl",
      {},
      order.map(([kind, share]) =>
        h(
          "div",
          {},
          h("dt", {}, words.types[kind].name, h("span", {}, scoreText(share))),
          h("dd", {}, bar(share), h("span", { class: "note" }, capital(words.types[kind].meaning))),
        ),
      ),
    ),
    h("p", { class: "note" }, words.types_caveat),
  );
}

/** Return what limits this analysis; null if nothing does. */
export function doubts({ notes, image }) {
  const all = [...notes, ...image.notes.map((note) => t("How the file was read: {note}.", { note }))];
  if (!all.length) return null;
  return h(
    "section",
    { class: "doubts card" },
    h("h2", {}, t("Before you rely on this")),
    h(
      "ul",
      {},
      all.map((note) => h("li", {}, note)),
    ),
  );
}

/** Return the list of marked regions; a press selects one in the picture. */
export function regions({ regions: all, hints, words }, stage) {
  const buttons = all
    .filter(({ minor }) => !minor)
    .map((region, number) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": "false",
          click: () => stage.show(stage.selected === number ? null : number),
        },
        h("span", { class: "label" }, region.label),
        h(
          "span",
          {},
          h(
            "b",
            {},
            capital(region.place),
            region.type ? `: ${inSentence(words.types[region.type].name)}` : "",
          ),
          h(
            "span",
            { class: "note" },
            t("{share} of the picture, mean probability {probability}", {
              share: percent(region.area_share),
              probability: scoreText(region.probability),
            }),
          ),
          region.finding && h("span", { class: "note" }, region.finding),
        ),
      ),
    );
  stage.onSelected = (number) =>
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === number)));
  return h(
    "section",
    { class: "regions card" },
    h("h2", {}, t("Marked regions")),
    buttons.length
      ? h(
          "ol",
          {},
          buttons.map((button) => h("li", {}, button)),
        )
      : h("p", { class: "note" }, t("None.")),
    words.minor_regions && h("p", { class: "note minor" }, words.minor_regions),
    hints.length ? h("p", { class: "note" }, t("Dotted outlines are hints, too weak to mark. Most are false alarms.")) : null,
  );
}
