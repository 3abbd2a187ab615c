// Two analyses side by side: their pictures laid over each other, and what differs.

import * as api from "./api.js";
import { described, h, icon, ICONS, moment, percent, scoreText } from "./dom.js";
import { t } from "./language.js";
import { pictureOf } from "./layers.js";
import { occupied } from "./occupied.js";
import { Problem } from "./problem.js";
import { remembered } from "./session.js";
import { Viewer } from "./viewer.js";

const LONGEST_SIDE = 4096; // Pixels of the picture that is laid over the first.

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
    ({ finding: told, differences }) => {
      finding.textContent = told;
      list.replaceChildren(...differences.map((each, number) => difference(each, number, viewers)));
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

function difference({ label, place, area_share: share }, number, viewers) {
  const show = () => {
    for (const viewer of viewers) viewer.selected = number;
    viewers[0].reveal(number);
  };
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "small", click: show },
      `${label}: ${place}${t(", ")}${percent(share)}`,
    ),
  );
}

/** Lay the second picture over the first, and show both. */
async function lay(analyses, files, viewers, canvases) {
  const pictures = await Promise.all(
    analyses.map(async ({ links, image }, i) => files[i] ?? (links.image ? api.file(links.image) : null)),
  );
  if (pictures.includes(null)) {
    for (const canvas of canvases) canvas.parentElement.hidden = true;
    throw new Problem(404, t("Comparing needs both pictures: in this tab, or kept on the server."));
  }
  const [first, second] = analyses.map(({ image }) => image);
  const [found, ...shown] = await Promise.all([
    api.compare(...pictures),
    ...pictures.map((file, i) => pictureOf(file, analyses[i].image)),
  ]);
  const regions = found.differences.map((each) => ({ ...each, box: boxOf(each.polygon), source: null }));
  const sizes = found.aligned ? [first, first] : [first, second];
  const laid = found.aligned ? warped(shown[1], found.matrix, first, second) : shown[1];
  [shown[0], laid].forEach((picture, i) => {
    const { width, height } = sizes[i];
    canvases[i].setAttribute("aria-label", t("Picture {number}. Regions that differ: {count}.", { number: i + 1, count: regions.length }));
    viewers[i].show({ picture, width, height, regions: picture ? regions : [], hints: [] });
  });
  return found;
}

/** Return the second picture in the frame of the first. */
function warped(picture, [[a, c, e], [b, d, f]], first, second) {
  if (!picture) return null;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(first.width, first.height));
  const sheet = new OffscreenCanvas(Math.round(first.width * scale), Math.round(first.height * scale));
  const context = sheet.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.setTransform(scale * a, scale * b, scale * c, scale * d, scale * e, scale * f);
  context.drawImage(picture, 0, 0, second.width, second.height);
  return sheet;
}

function boxOf(points) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + 1, height: Math.max(...ys) - y + 1 };
}

/** Return a table of both; what differs is bold. */
function facts(analyses) {
  const rows = [
    [t("Verdict"), ({ words }) => words.headline],
    [t("Score"), ({ score }) => scoreText(score)],
    [t("Type"), ({ verdict, type, words }) => (verdict === "authentic" ? "" : words.types[type].name)],
    [t("Origin"), ({ origin }) => origin.headline],
    ["Size", ({ image }) => `${image.width} × ${image.height}`],
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
