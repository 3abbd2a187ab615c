// The picture, with its controls below.

import { animation } from "./animation.js";
import * as api from "./api.js";
import { h, percent } from "./dom.js";
import { scale } from "./evidence.js";
import { decimal, t } from "./language.js";
import * as layers from "./layers.js";
import { Problem } from "./problem.js";
import { Viewer } from "./viewer.js";

const OPACITY = 0.75;
const REST_MILLISECONDS = 250;
const DRAWN = "drawn"; // The layer that a tool drew.

/** The picture with its controls. */
export class Stage {
  selected = null;
  onSelected = () => {};
  /** Receives the point, in pixels of the picture, that the reader looks at: the pointer, or the middle. */
  onPoint = () => {};
  picture = null;
  file = null; // The file of the picture.
  #analysis;
  #map = null;
  #serverMask = null;
  #maps = new Map();
  #viewer;
  #drawn = null; // What a tool drew, to show over the picture.
  #differences = null; // The regions that a tool marks in place of the analysis's, while its layer is shown.
  #marked = null; // The tool's regions that are marked now; null marks those of the analysis.
  #before = null; // The layer that was shown before the heatmap's key was pressed.
  #closed = false;
  #sharper = false; // Whether the file has more detail than the picture that is shown.
  #sharpening = 0;

  constructor(analysis, file) {
    this.#analysis = analysis;
    this.canvas = h("canvas", {
      tabindex: 0,
      role: "img",
      "aria-label": t(
        "The picture. Regions marked: {count}. Plus and minus zoom, arrow keys move, 0 shows the whole picture, H shows the heatmap while it is held.",
        { count: shownRegions(analysis).length },
      ),
    });
    this.canvas.addEventListener("keydown", (event) => this.#held(event, true));
    this.canvas.addEventListener("keyup", (event) => this.#held(event, false));
    this.#viewer = new Viewer(this.canvas, {
      onSelect: (number) => (this.#ofTool ? (this.#viewer.selected = number) : this.select(number)),
      onSplit: (share) => (this.compare.value = Math.round(100 * share)),
      onPoint: (point) => this.onPoint(point),
      onView: () => this.#sharpen(),
    });
    this.#viewer.opacity = OPACITY;
    this.notice = h("p", { class: "notice", role: "status" }, t("Loading the maps…"));
    this.compare = range("compare", 0, 100, 0, (value) => (this.#viewer.split = value / 100));
    this.opacity = range(
      "opacity",
      0,
      100,
      Math.round(100 * OPACITY),
      (value) => (this.#viewer.opacity = value / 100),
    );
    const cut = Math.round(100 * analysis.threshold);
    this.threshold = range("threshold", 1, 99, cut, () => this.#cut());
    this.layer = h(
      "select",
      { id: "layer", change: () => this.#show() },
      h("option", { value: "regions" }, t("Marked regions")),
      h("option", { value: "heatmap" }, t("Heatmap")),
      h("option", { value: "mask" }, t("Mask")),
      h("option", { value: "none" }, t("Picture only")),
      Object.entries(analysis.evidence)
        .filter(([, found]) => found.map)
        .map(([name, { title }]) => h("option", { value: name }, t("Evidence: {title}", { title }))),
    );
    this.drawnOption = h("option", { value: DRAWN });
    this.marked = h("output", { id: "marked", for: "threshold" });
    this.reset = h(
      "button",
      {
        type: "button",
        class: "small",
        hidden: true,
        click: () => ((this.threshold.value = cut), this.#cut()),
      },
      t("Reset to {threshold}", { threshold: decimal(analysis.threshold, 2) }),
    );
    const outlines = h("input", {
      type: "checkbox",
      checked: true,
      change: () => (this.#viewer.outlined = outlines.checked),
    });
    const zoom = (label, name, act) =>
      h("button", { type: "button", class: "tool", "aria-label": name, title: name, click: act }, label);
    this.legend = h("div", { class: "legend" });
    this.element = h(
      "section",
      { class: "stage", "aria-label": t("Picture") },
      h(
        "div",
        { class: "screen" },
        this.canvas,
        this.notice,
        h(
          "div",
          { class: "tools" },
          zoom("+", t("Zoom in"), () => this.#viewer.zoom(1.5)),
          zoom("−", t("Zoom out"), () => this.#viewer.zoom(1 / 1.5)),
          zoom("⤢", t("Show all"), () => this.show(null)),
        ),
      ),
      h(
        "div",
        { class: "controls card" },
        field(t("Layer"), this.layer),
        field(t("Compare"), this.compare),
        field(t("Opacity"), this.opacity),
        field(t("Threshold"), this.threshold, h("span", { class: "reading" }, this.marked, this.reset)),
        h("label", { class: "check" }, outlines, t("Outlines")),
        this.legend,
      ),
    );
    this.#fit();
    this.#load(file);
  }

  select(number) {
    this.selected = number;
    this.#viewer.selected = number;
    this.onSelected(number);
  }

  /** Select a region and zoom to it; null shows the whole picture. */
  show(number) {
    if (number !== null && this.#ofTool) {
      this.layer.value = "regions";
      this.#show();
    }
    this.select(number);
    this.#viewer.reveal(number);
  }

  /** Select a region that a tool marks, and zoom to it. */
  showDifference(number) {
    if (!this.#ofTool) {
      this.layer.value = DRAWN;
      this.#show();
    }
    this.#viewer.selected = number;
    this.#viewer.reveal(number);
  }

  /** Whether the marked regions are a tool's. */
  get #ofTool() {
    return this.layer.value === DRAWN && this.#differences !== null;
  }

  showMap(name) {
    this.layer.value = name;
    this.#show();
    this.element.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  /** The part of the picture that is in view: a box in pixels. */
  get visible() {
    return this.#viewer.visible;
  }

  /** Return the picture and its findings in turn, as an animated WebP. The layer is the one that is shown. */
  async animation() {
    const plain = this.layer.value === "none" || (this.layer.value === "regions" && !shownRegions(this.#analysis).length);
    if (plain) {
      this.layer.value = "heatmap";
      await this.#show();
    }
    if (!this.picture)
      throw new Problem(404, t("The animation needs the picture, which neither the server nor this tab has."));
    return animation(this.picture, this.image, (context, scale) => this.#viewer.drawOn(context, scale));
  }

  /** The facts about the picture's file. */
  get image() {
    return this.#analysis.image;
  }

  /**
   * Show what a tool drew in place of the picture, with the regions it found, or else those of the analysis; null
   * shows the analysis again.
   */
  showDrawn(sheet, name = "", differences = null) {
    this.#drawn = sheet;
    this.#differences = differences;
    this.drawnOption.textContent = t("Tool: {name}", { name });
    if (sheet) this.layer.append(this.drawnOption);
    if (sheet) this.layer.value = DRAWN;
    else if (this.layer.value === DRAWN) this.layer.value = "regions";
    if (!sheet) this.drawnOption.remove();
    this.#show();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#sharpening);
    this.#viewer.close();
    this.picture?.close();
    this.picture = null;
  }

  /** Give the screen the picture's proportions, within limits, so that little of it stays empty. */
  #fit() {
    const { width, height } = this.#analysis.image;
    this.element.style.setProperty("--proportions", Math.min(2.2, Math.max(0.8, width / height)));
  }

  async #load(file) {
    const { links, image } = this.#analysis;
    try {
      const [heat, mask, picture] = await Promise.all([
        api.file(`${links.heatmap}?raw=true`),
        api.file(links.mask),
        file ?? (links.image ? api.file(links.image) : null),
      ]);
      this.#map = await layers.levelsOf(heat);
      this.#serverMask = await layers.maskOf(mask, this.#map);
      this.picture = picture && (await layers.pictureOf(picture, image));
      this.file = this.picture && picture;
      this.#sharper = this.picture !== null && this.picture.width < image.width;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.notice.textContent = `${problem.title}. ${problem.message} ${problem.advice}`;
      return;
    }
    if (this.#closed) {
      this.close();
      return;
    }
    this.#viewer.show({
      picture: this.picture,
      width: image.width,
      height: image.height,
      regions: shownRegions(this.#analysis),
      hints: this.#analysis.hints,
    });
    if (!this.picture) this.layer.value = "heatmap";
    this.notice.textContent = this.picture ? "" : missing(file);
    this.notice.hidden = Boolean(this.picture);
    this.compare.disabled = this.opacity.disabled = !this.picture;
    this.#show();
    this.element.dataset.ready = "";
  }

  /** Once the view rests, decode the part in view of a picture that is shown scaled down. */
  #sharpen() {
    if (!this.#sharper) return;
    clearTimeout(this.#sharpening);
    this.#sharpening = setTimeout(async () => {
      const known = this.picture.width / this.image.width;
      if (this.#viewer.scale <= known) {
        this.#viewer.detail = null;
        return;
      }
      const run = this.#sharpening;
      const box = this.#viewer.visible;
      try {
        const bitmap = await createImageBitmap(this.file, box.x, box.y, box.width, box.height, {
          resizeWidth: Math.ceil(box.width * Math.min(1, this.#viewer.scale)),
          resizeQuality: "high",
        });
        if (run === this.#sharpening && !this.#closed) this.#viewer.detail = { bitmap, box };
        else bitmap.close();
      } catch {
        // The browser has no memory for it, or cannot read the file. What is shown stays.
        this.#sharper = false;
      }
    }, REST_MILLISECONDS);
  }

  #cut() {
    this.layer.value = "mask";
    this.#show();
  }

  #mask() {
    const chosen = this.threshold.value / 100;
    // The server's own mask leaves out specks that are too small to mean anything.
    const untouched = Math.round(100 * this.#analysis.threshold) === Number(this.threshold.value);
    this.reset.hidden = untouched;
    const mask = untouched ? this.#serverMask : layers.maskAt(this.#map, chosen);
    const from = untouched ? this.#analysis.threshold : chosen;
    this.marked.textContent = t("{share} marked at {threshold} or above", {
      share: percent(layers.share(mask)),
      threshold: decimal(from, 2),
    });
    return mask;
  }

  async #show() {
    if (!this.#map) return;
    const chosen = this.layer.value;
    const over = Boolean(this.picture);
    const mask = this.#mask();
    this.legend.replaceChildren(...this.#legend(chosen));
    this.#mark();
    this.#viewer.bare = chosen === "none";
    this.#viewer.opacity = chosen === DRAWN ? 1 : this.opacity.value / 100;
    if (chosen === "none" || chosen === "regions") this.#viewer.layer = null;
    else if (chosen === "mask") this.#viewer.layer = layers.maskLayer(this.#map, mask, over);
    else if (chosen === DRAWN) this.#viewer.layer = this.#drawn;
    else if (chosen === "heatmap") this.#viewer.layer = layers.heatLayer(this.#map, over);
    else await this.#evidence(chosen, over);
  }

  /** Mark the regions of what is shown: the analysis's, or a tool's. */
  #mark() {
    const differences = this.#ofTool ? this.#differences : null;
    if (differences === this.#marked) return;
    this.#marked = differences;
    this.#viewer.marks = differences
      ? { regions: differences, hints: [] }
      : { regions: shownRegions(this.#analysis), hints: this.#analysis.hints };
    this.#viewer.selected = differences ? null : this.selected;
  }

  /** Show the heatmap while its key is held. */
  #held(event, down) {
    if (event.key.toLowerCase() !== "h" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (down) [this.#before, this.layer.value] = [this.layer.value, "heatmap"];
    else if (this.#before) this.layer.value = this.#before;
    this.#show();
  }

  #legend(chosen) {
    if (chosen === "mask" || chosen === "none" || chosen === DRAWN) return [];
    if (chosen !== "regions") return [scale()];
    const shown = shownRegions(this.#analysis);
    const line = (kind, text) => h("span", { class: "key" }, h("i", { class: kind }), text);
    const hint = this.#analysis.hints.length > 0 && line("dotted", t("a hint, too weak to mark"));
    if (!shown.length) return [h("p", { class: "note" }, t("No region is marked.")), hint].filter(Boolean);
    const sources = shown.map(({ source }) => source).filter(Boolean);
    return [
      line("solid", sources.some(({ decided }) => decided) ? t("marked, or the copy") : t("marked")),
      sources.some(({ decided }) => decided) && line("dashed", t("the likely source of a copy")),
      sources.some(({ decided }) => !decided) && line("joined", t("one is a copy of the other")),
      hint,
    ].filter(Boolean);
  }

  async #evidence(name, over) {
    try {
      if (!this.#maps.has(name)) {
        const map = await layers.levelsOf(await api.file(`${this.#analysis.evidence[name].map}?raw=true`));
        this.#maps.set(name, layers.heatLayer(map, over));
      }
      if (this.layer.value === name) this.#viewer.layer = this.#maps.get(name);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.notice.hidden = false;
      this.notice.textContent = `${problem.title}. ${problem.message}`;
    }
  }
}

/** Return the regions that the picture shows: all but the minor ones. */
function shownRegions({ regions }) {
  return regions.filter(({ minor }) => !minor);
}

function missing(file) {
  if (file) return t("This is not the picture that was analysed.");
  return t("The picture was not kept. Drop the same file on this page to see it. It is not analysed again.");
}

function field(label, input, ...rest) {
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, ...rest);
}

function range(id, min, max, value, act) {
  return h("input", {
    type: "range",
    id,
    min,
    max,
    value,
    input: (event) => act(Number(event.target.value)),
  });
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
