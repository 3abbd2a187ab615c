// Two analyses side by side: their pictures laid over each other, and what differs.

import * as api from "./api.js";
import { described, h, icon, ICONS, moment, scoreText } from "./dom.js";
import { t } from "./language.js";
import { pictureOf } from "./layers.js";
import { occupied } from "./occupied.js";
import { Problem } from "./problem.js";
import { remembered } from "./session.js";
import { differences, laidOver } from "./versions.js";
import { Viewer } from "./viewer.js";

/** Return a card in which the reader chooses another analysis, to see it beside this one. */
export function compareCard(analysis) {
  const choice = h("select", { id: "other-analysis" });
  const said = h("p", { class: "wrong", role: "alert" });
  const open = h(
    "button",
    { type: "button", click: () => (location.hash = `#/compare/${analysis.id}/${choice.value}`) },
    t("Show side by side"),
  );
  const body = h(
    "div",
    { class: "compare-choice" },
    h("div", { class: "field" }, h("label", { for: "other-analysis" }, t("Other analysis")), choice),
    open,
    said,
  );
  const load = async () => {
    const { analyses } = await api.history(api.searchAddress({}));
    const others = analyses.filter(({ id }) => id !== analysis.id);
    choice.replaceChildren(...others.map((each) => h("option", { value: each.id }, `${nameOf(each)}: ${each.headline}`)));
    open.hidden = choice.hidden = !others.length;
    if (!others.length) said.textContent = t("There is no other analysis yet.");
  };
  const card = h(
    "details",
    { class: "folded compare-card card", toggle: () => card.open && occupied(open, load, said) },
    h("summary", {}, h("h2", {}, t("Another analysis")), h("span", { class: "note" }, t("side by side, differences marked"))),
    body,
  );
  return card;
}

/** Return the page of two analyses. `files` are their pictures, as far as this tab has them. */
export function comparison(analyses, files) {
  const [one, other] = analyses.map(() => h("canvas", { tabindex: 0, role: "img" }));
  const finding = h("p", { role: "status" }, t("Laying the pictures over each other…"));
  const viewers = [one, other].map(
    (canvas, i) =>
      new Viewer(canvas, {
        onSelect: (number) => viewers.forEach((viewer) => (viewer.selected = number)),
        onSplit: null,
        onPoint: () => {},
        onView: (view) => (viewers[1 - i].view = view),
      }),
  );
  const list = h("ol", { class: "differences" });
  const element = h(
    "article",
    { class: "comparison" },
    h("div", { class: "titled" }, h("h1", { tabindex: -1 }, t("Two analyses side by side"))),
    h("section", { class: "card" }, finding, list),
    h(
      "div",
      { class: "sides" },
      analyses.map((analysis, i) => side(analysis, [one, other][i])),
    ),
    h("section", { class: "card wide" }, facts(analyses)),
  );
  lay(analyses, files, viewers, [one, other]).then(
    ({ finding: told, regions }) => {
      const show = (number) => {
        for (const viewer of viewers) viewer.selected = number;
        viewers[0].reveal(number);
      };
      finding.textContent = told;
      list.replaceChildren(...differences(regions, show));
      element.dataset.ready = "";
    },
    (problem) => {
      if (!(problem instanceof Problem)) throw problem;
      finding.textContent = `${problem.title}. ${problem.message}`;
    },
  );
  return { element, close: () => viewers.forEach((viewer) => viewer.close()) };
}

function side({ id, words, verdict, score, created, ...analysis }, canvas) {
  return h(
    "section",
    { class: "card", "data-verdict": verdict },
    h(
      "p",
      { class: "name" },
      h("a", { href: `#/analyses/${id}` }, h("bdi", {}, nameOf({ id, ...analysis }))),
      " ",
      h("span", { class: "note" }, moment(created)),
    ),
    h("div", { class: "screen" }, canvas),
    h("h2", { class: "side-verdict" }, icon(ICONS[verdict]), h("bdi", {}, words.headline)),
    h("p", {}, words.finding),
  );
}

/** Lay the second picture over the first, and show both. */
async function lay(analyses, files, viewers, canvases) {
  const pictures = await Promise.all(
    analyses.map(async ({ links }, i) => files[i] ?? (links.image ? api.file(links.image) : null)),
  );
  if (pictures.includes(null)) {
    for (const canvas of canvases) canvas.parentElement.hidden = true;
    throw new Problem(404, t("Comparing needs both pictures: in this tab, or kept on the server."));
  }
  const [{ image }] = analyses;
  const [picture, other] = await Promise.all([pictureOf(pictures[0], image), laidOver(pictures[0], image, pictures[1])]);
  const { regions } = other;
  [{ picture, size: image }, other].forEach(({ picture, size: { width, height } }, i) => {
    canvases[i].setAttribute("aria-label", t("Picture {number}. Regions that differ: {count}.", { number: i + 1, count: regions.length }));
    viewers[i].show({ picture, width, height, regions: picture ? regions : [], hints: [] });
  });
  return other;
}

/** Return a table of both; what differs is bold. */
function facts(analyses) {
  const rows = [
    [t("Verdict"), ({ words }) => words.headline],
    [t("Score"), ({ score }) => scoreText(score)],
    [t("Type"), ({ verdict, type, words }) => (verdict === "authentic" ? "" : words.types[type].name)],
    [t("Origin"), ({ origin }) => origin.headline],
    [t("Size"), ({ image }) => `${image.width} × ${image.height}`],
    [t("Format"), ({ image }) => image.format],
    ["SHA-256", ({ image }) => image.sha256],
    ...Object.keys(analyses[0].evidence)
      .filter((name) => analyses[1].evidence[name])
      .map((name) => [analyses[0].evidence[name].title, ({ evidence }) => evidence[name].finding]),
  ];
  return h(
    "table",
    { class: "facts-of-two" },
    h("caption", { class: "unseen" }, t("What the two analyses say; what differs is bold")),
    h(
      "tbody",
      {},
      rows.map(([label, value]) => {
        const texts = analyses.map(value);
        const bold = texts[0] !== texts[1];
        return h(
          "tr",
          {},
          h("th", { scope: "row" }, label),
          texts.map((text) => h("td", {}, h(bold ? "b" : "bdi", {}, text))),
        );
      }),
    ),
  );
}

function nameOf({ id, title, case: details, image }) {
  return title || details?.title || remembered(id)?.name || described(image);
}
