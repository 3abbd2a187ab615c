// The result of one analysis, from the verdict to the limits of the method.

import * as api from "./api.js";
import { announce, bytes, described, h, icon, ICONS, moment, percent } from "./dom.js";
import { evidencePanel, scale, table } from "./evidence.js";
import * as layers from "./layers.js";
import { Viewer } from "./viewer.js";

const OPACITY = 0.75;

/** Return the element of a result, and a function that ends it.
 *
 * `file` is the picture itself where this tab has it, `keep` has the server keep it, `remove` deletes the analysis.
 */
export function resultView({ analysis, name, file, thumbnail, keep, remove }) {
  const stage = new Stage(analysis, file);
  const keepButton = () =>
    file ? h("button", { type: "button", class: "small", click: (event) => occupied(event.target, keep) }, "Keep the picture on the server") : null;
  const element = h(
    "article",
    { class: "result", "data-verdict": analysis.verdict },
    h(
      "div",
      { class: "titled" },
      h("p", { class: "name" }, h("bdi", {}, name ?? described(analysis.image)), " ", h("span", { class: "note" }, moment(analysis.created))),
    ),
    h(
      "div",
      { class: "bench" },
      h("div", { class: "about" }, verdict(analysis), doubts(analysis), regions(analysis, stage), kinds(analysis)),
      h("div", { class: "seen" }, stage.element, downloads({ analysis, stage, keepButton, remove })),
    ),
    evidencePanel({ analysis, thumbnail, keepButton, onShow: (each) => stage.showMap(each) }),
    background(analysis),
  );
  return { element, close: () => stage.close() };
}

function verdict({ verdict, words, score, operating_points: points }) {
  return h(
    "section",
    { class: "verdict card" },
    h("h1", { tabindex: -1 }, icon(ICONS[verdict]), words.headline),
    h("p", {}, words.meaning),
    scoreScale(score, points),
  );
}

function scoreScale(score, points) {
  const parts = points
    ? [["low", 0, points.authentic_below], ["middle", points.authentic_below, points.manipulated_above], ["high", points.manipulated_above, 1]]
    : [["middle", 0, 1]];
  const at = (element, share) => (element.style.setProperty("--at", share), element);
  const limits = points ? [...new Set([points.authentic_below, points.manipulated_above])] : [];
  return h(
    "div",
    { class: "score", role: "img", "aria-label": `Score ${score.toFixed(2)} on a scale from 0 to 1` },
    at(h("b", {}, score.toFixed(2)), Math.min(0.96, Math.max(0.04, score))),
    at(h("i", {}), score),
    h("div", { class: "track" }, parts.map(([kind, from, to]) => (at(h("span", { class: kind }), to - from)))),
    h("div", { class: "ends" }, h("span", {}, "0"), limits.map((limit) => at(h("span", { class: "limit" }, limit.toFixed(2)), limit)), h("span", {}, "1")),
  );
}

function doubts({ notes, image }) {
  const all = [...notes, ...image.notes.map((note) => `On reading: ${note}.`)];
  if (!all.length) return null;
  return h("section", { class: "doubts card" }, h("h2", {}, "Before you rely on this"), h("ul", {}, all.map((note) => h("li", {}, note))));
}

function regions({ regions, words }, stage) {
  const buttons = regions.map((region, number) =>
    h(
      "button",
      { type: "button", "aria-pressed": "false", click: () => stage.select(stage.selected === number ? null : number) },
      h("span", { class: "number" }, String(number + 1)),
      h(
        "span",
        {},
        h("b", {}, capital(region.place), region.type ? `: ${words.types[region.type].name.toLowerCase()}` : ""),
        h("span", { class: "note" }, `${percent(region.area_share)} of the picture, mean probability ${region.probability.toFixed(2)}`),
        region.source && h("span", { class: "note source" }, "Probably copied from the area outlined in blue"),
      ),
    ),
  );
  stage.onSelected = (number) => buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === number)));
  return h(
    "section",
    { class: "regions card" },
    h("h2", {}, "Marked areas"),
    buttons.length ? h("ol", {}, buttons.map((button) => h("li", {}, button))) : h("p", { class: "note" }, "None."),
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
    "section",
    { class: "kinds card" },
    h("h2", {}, "How, if it was manipulated"),
    h(
      "dl",
      {},
      order.map(([kind, share]) =>
        h("div", {}, h("dt", {}, words.types[kind].name, h("span", {}, share.toFixed(2))), h("dd", {}, bar(share), h("span", { class: "note" }, capital(words.types[kind].meaning)))),
      ),
    ),
    h("p", { class: "note" }, words.types_caveat),
  );
}

/** The picture with its controls. */
class Stage {
  selected = null;
  onSelected = () => {};
  picture = null;
  #analysis;
  #map = null;
  #serverMask = null;
  #maps = new Map();
  #viewer;
  #closed = false;

  constructor(analysis, file) {
    this.#analysis = analysis;
    this.canvas = h("canvas", {
      tabindex: 0, role: "img",
      "aria-label": `The picture with ${analysis.regions.length} marked areas. Plus and minus zoom, arrows move, 0 shows all.`,
    });
    this.#viewer = new Viewer(this.canvas, {
      onSelect: (number) => this.select(number),
      onSplit: (share) => (this.compare.value = Math.round(100 * share)),
    });
    this.notice = h("p", { class: "notice", role: "status" }, "Fetching the maps…");
    this.compare = range("compare", 0, 100, 0, (value) => (this.#viewer.split = value / 100));
    this.opacity = range("opacity", 0, 100, Math.round(100 * OPACITY), (value) => (this.#viewer.opacity = value / 100));
    const cut = Math.round(100 * analysis.threshold);
    this.threshold = range("threshold", 1, 99, cut, () => this.#cut());
    this.layer = h(
      "select",
      { id: "layer", change: () => this.#show() },
      h("option", { value: "heatmap" }, "Heatmap"),
      h("option", { value: "mask" }, "Mask"),
      h("option", { value: "none" }, "Picture alone"),
      Object.entries(analysis.evidence).filter(([, found]) => found.map).map(([name, { title }]) => h("option", { value: name }, `Evidence: ${title}`)),
    );
    this.marked = h("output", { id: "marked", for: "threshold" });
    this.reset = h("button", { type: "button", class: "small", hidden: true, click: () => ((this.threshold.value = cut), this.#cut()) }, `Back to ${analysis.threshold.toFixed(2)}`);
    const outlines = h("input", { type: "checkbox", checked: true, change: () => (this.#viewer.outlined = outlines.checked) });
    const zoom = (label, name, act) => h("button", { type: "button", class: "tool", "aria-label": name, title: name, click: act }, label);
    this.legend = h("div", { class: "legend" }, scale());
    this.element = h(
      "section",
      { class: "stage", "aria-label": "Picture" },
      h(
        "div",
        { class: "screen" },
        this.canvas,
        this.notice,
        h("div", { class: "tools" }, zoom("+", "Zoom in", () => this.#viewer.zoom(1.5)), zoom("−", "Zoom out", () => this.#viewer.zoom(1 / 1.5)), zoom("⤢", "Show all", () => this.select(null, true))),
      ),
      h(
        "div",
        { class: "controls card" },
        field("Layer", this.layer),
        field("Compare", this.compare),
        field("Opacity", this.opacity),
        field("Threshold", this.threshold, h("span", { class: "reading" }, this.marked, this.reset)),
        h("label", { class: "check" }, outlines, "Outlines"),
        this.legend,
      ),
    );
    this.#fit();
    this.#load(file);
  }

  select(number, whole = false) {
    this.selected = number;
    this.#viewer.select(number);
    if (whole || number === null) this.#viewer.fit();
    this.onSelected(number);
  }

  showMap(name) {
    this.layer.value = name;
    this.#show();
    this.element.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  close() {
    this.#closed = true;
    this.#viewer.close();
    this.picture?.close();
  }

  /** The screen has the picture's proportions, within limits, so that little of it stays empty. */
  #fit() {
    const { width, height } = this.#analysis.image;
    this.element.style.setProperty("--proportions", Math.min(2.2, Math.max(0.8, width / height)));
  }

  async #load(file) {
    const { links, image, regions } = this.#analysis;
    try {
      const [heat, mask, picture] = await Promise.all([
        api.file(`${links.heatmap}?raw=true`),
        api.file(links.mask),
        file ?? (links.image ? api.file(links.image) : null),
      ]);
      this.#map = await layers.levelsOf(heat);
      this.#serverMask = await layers.maskOf(mask, this.#map);
      this.picture = picture && (await layers.pictureOf(picture, image));
      if (!this.picture && file && links.image) {
        this.picture = await layers.pictureOf(await api.file(links.image), image);
      }
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      this.notice.textContent = `${problem.title}. ${problem.message} ${problem.advice}`;
      return;
    }
    if (this.#closed) return;
    this.#viewer.show({ picture: this.picture, width: image.width, height: image.height, regions });
    this.notice.textContent = this.picture ? "" : missing(file);
    this.notice.hidden = Boolean(this.picture);
    this.compare.disabled = this.opacity.disabled = !this.picture;
    this.#show();
    this.element.dataset.ready = "";
  }

  #cut() {
    this.layer.value = "mask";
    this.#show();
  }

  #mask() {
    const chosen = this.threshold.value / 100;
    // The server's own mask lacks specks that are too small to mean anything.
    const untouched = Math.round(100 * this.#analysis.threshold) === Number(this.threshold.value);
    this.reset.hidden = untouched;
    const mask = untouched ? this.#serverMask : layers.maskAt(this.#map, chosen);
    this.marked.textContent = `${percent(layers.share(mask))} marked from ${untouched ? this.#analysis.threshold.toFixed(2) : chosen.toFixed(2)} on`;
    return mask;
  }

  async #show() {
    if (!this.#map) return;
    const chosen = this.layer.value;
    const over = Boolean(this.picture);
    const mask = this.#mask();
    this.legend.hidden = chosen === "mask" || chosen === "none";
    if (chosen === "none") this.#viewer.layer = null;
    else if (chosen === "mask") this.#viewer.layer = layers.maskLayer(this.#map, mask, over);
    else if (chosen === "heatmap") this.#viewer.layer = layers.heatLayer(this.#map, over);
    else await this.#evidence(chosen, over);
  }

  async #evidence(name, over) {
    try {
      if (!this.#maps.has(name)) {
        const map = await layers.levelsOf(await api.file(`${this.#analysis.evidence[name].map}?raw=true`));
        this.#maps.set(name, layers.heatLayer(map, over));
      }
      if (this.layer.value === name) this.#viewer.layer = this.#maps.get(name);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      this.notice.hidden = false;
      this.notice.textContent = `${problem.title}. ${problem.message}`;
    }
  }
}

function missing(file) {
  if (file) return "This browser cannot show this kind of file. Keep the picture on the server to see it here.";
  return "The picture was not kept. Drop the same file on this page to see it: nothing is analysed twice.";
}

function field(label, input, ...rest) {
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, ...rest);
}

function range(id, min, max, value, act) {
  return h("input", { type: "range", id, min, max, value, input: (event) => act(Number(event.target.value)) });
}

function downloads({ analysis, stage, keepButton, remove }) {
  const { links, id } = analysis;
  const said = h("p", { class: "wrong", role: "alert" });
  const button = (label, suffix, fetching, primary = false) =>
    h(
      "button",
      { type: "button", class: primary ? "primary" : null, click: (event) => occupied(event.currentTarget, async () => save(await fetching(), `tamperscope-${id.slice(0, 8)}${suffix}`), said) },
      icon(ICONS.download),
      label,
    );
  const overlay = async () => {
    if (links.overlay) return api.file(links.overlay);
    if (!stage.picture) throw new api.Problem(404, "The overlay needs the picture, which is neither kept nor here.");
    return layers.overlayFile(stage.picture, await api.file(links.mask));
  };
  const kept = analysis.image.kept
    ? "The server keeps the picture of this analysis, so reports show it."
    : "The server does not keep this picture: reports outline the areas on plain ground.";
  return h(
    "section",
    { class: "downloads card", "aria-labelledby": "downloads-title" },
    h(
      "div",
      { class: "titled" },
      h("h2", { id: "downloads-title" }, "Take it along"),
      h("button", { type: "button", class: "small quiet", click: remove }, "Delete this analysis"),
    ),
    h(
      "div",
      { class: "buttons" },
      button("Report, PDF", ".pdf", () => api.file(links.report_pdf), true),
      button("Report, HTML", ".html", () => api.file(links.report_html)),
      button("Report, JSON", ".json", () => api.file(links.report_json)),
      button("Mask", "-mask.png", () => api.file(links.mask)),
      button("Overlay", "-overlay.png", overlay),
      button("Heatmap", "-heatmap.png", () => api.file(links.heatmap)),
    ),
    said,
    h("p", { class: "note kept" }, kept, analysis.image.kept ? null : keepButton()),
  );
}

/** Do something once at a time, and say what went wrong. */
async function occupied(button, act, said = null) {
  button.disabled = true;
  if (said) said.textContent = "";
  try {
    await act();
  } catch (problem) {
    if (!(problem instanceof api.Problem)) throw problem;
    const text = `${problem.title}. ${problem.message}`;
    if (said) said.textContent = text;
    else button.after(h("span", { class: "wrong", role: "alert" }, ` ${text}`));
  } finally {
    button.disabled = false;
  }
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  announce(`${name} is saved.`);
}

function background({ reasons, image, bundle, versions, words }) {
  const facts = [
    { label: "SHA-256", value: image.sha256 },
    { label: "Size", value: `${image.width} × ${image.height} pixels, ${bytes(image.byte_count)}` },
    { label: "Format", value: image.format },
    { label: "Model", value: `${bundle.name} ${bundle.version}` },
    { label: "Model’s SHA-256", value: bundle.sha256 },
    ...Object.entries(versions).map(([name, version]) => ({ label: "Software", value: `${name} ${version}` })),
  ];
  return h(
    "div",
    { class: "background" },
    h(
      "section",
      { class: "card" },
      h("h2", {}, "What was analysed, and by what"),
      table(facts, "File and software"),
      reasons.length ? [h("h2", {}, "What moved the score"), h("ul", {}, reasons.map(({ text }) => h("li", {}, text)))] : null,
    ),
    h("section", { class: "card" }, h("h2", {}, "Limits"), h("ul", {}, words.limits.map((limit) => h("li", {}, limit)))),
  );
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
