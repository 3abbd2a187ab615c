// Tools for a closer look, drawn in the browser from the picture that is there. Only to lay another picture over it
// are both sent to the server.

import { announce, h } from "./dom.js";
import { difference, FILTERS, stretch } from "./filters.js";
import { jpegParts } from "./jpeg.js";
import { table } from "./evidence.js";
import { decimal, t } from "./language.js";
import { Problem } from "./problem.js";
import { differences, laidOver } from "./versions.js";

const LOUPE = 280; // Pixels of the loupe's square.
const ZOOMS = [2, 4, 8, 16];

/** Return the card of the tools; `stage` shows what they draw. */
export function toolsCard(stage, file) {
  const tools = new Tools(stage);
  const card = h(
    "details",
    { class: "folded tools-card card", toggle: () => card.open && tools.open() },
    h("summary", {}, h("h2", {}, t("Look closer")), h("span", { class: "note" }, t("loupe, filters, another picture"))),
    tools.element,
  );
  if (file)
    jpegParts(file).then((parts) => {
      if (parts.length) tools.element.append(structure(parts));
    });
  return card;
}

class Tools {
  #stage;
  #source = null; // Image data of the picture.
  #run = 0; // The number of the latest drawing: earlier ones stop.
  #reference = null; // The other picture: what was found, and its pixels in this one's frame.
  #point = null;

  constructor(stage) {
    this.#stage = stage;
    this.told = h("p", { class: "note look" });
    this.said = h("p", { class: "note", role: "status" });
    this.found = h("ol", { class: "differences" });
    this.parameters = h("div", { class: "parameters" });
    this.choice = h(
      "select",
      { id: "tool", change: () => this.#choose() },
      h("option", { value: "" }, t("None")),
      Object.entries(FILTERS).map(([id, { name }]) => h("option", { value: id }, name)),
      h("option", { value: "reference" }, t("Another picture")),
    );
    this.loupe = h("canvas", {
      width: LOUPE,
      height: LOUPE,
      role: "img",
      "aria-label": t("Loupe: the part of the picture below the pointer, or in the middle of what is shown"),
    });
    this.zoom = h(
      "select",
      { id: "loupe-zoom", change: () => this.#magnify() },
      ZOOMS.map((times) => h("option", { value: times, selected: times === 4 }, `${times} ×`)),
    );
    this.enhanced = h("input", { type: "checkbox", id: "loupe-contrast", checked: true, change: () => this.#magnify() });
    this.element = h(
      "div",
      { class: "tools-body" },
      h(
        "div",
        { class: "tools-columns" },
        h(
          "div",
          { class: "filter" },
          h("div", { class: "field" }, h("label", { for: "tool" }, t("Filter")), this.choice),
          this.parameters,
          this.told,
          this.said,
          this.found,
        ),
        h(
          "div",
          { class: "loupe" },
          this.loupe,
          h(
            "div",
            { class: "loupe-controls" },
            h("label", { class: "check", for: "loupe-zoom" }, t("Loupe")),
            this.zoom,
            h("label", { class: "check" }, this.enhanced, t("More contrast")),
          ),
        ),
      ),
    );
    stage.onPoint = (point) => {
      this.#point = point;
      this.#magnify();
    };
  }

  open() {
    if (!this.#stage.picture) {
      this.said.textContent = t("These tools need the picture, which neither the server nor this tab has.");
      this.choice.disabled = true;
      return;
    }
    this.choice.disabled = false;
    this.said.textContent = "";
    this.#magnify();
  }

  #choose() {
    const filter = FILTERS[this.choice.value];
    this.told.textContent = filter?.look ?? "";
    this.found.replaceChildren();
    if (this.choice.value === "reference") this.#offerReference();
    else if (filter) {
      this.parameters.replaceChildren(...filter.parameters.map((each) => this.#parameter(each)));
      this.#draw();
    } else {
      this.#run++;
      this.parameters.replaceChildren();
      this.#stage.showDrawn(null);
    }
  }

  #parameter({ id, label, options, min, max, value }) {
    const name = `tool-${id}`;
    const reading = h("output", { for: name }, options ? "" : value);
    const input = options
      ? h(
          "select",
          { id: name, "data-parameter": id, change: () => this.#draw() },
          options.map((text, i) => h("option", { value: i }, text)),
        )
      : h("input", {
          type: "range",
          id: name,
          "data-parameter": id,
          min,
          max,
          value,
          input: () => {
            reading.textContent = input.value;
            this.#draw();
          },
        });
    return h("div", { class: "field" }, h("label", { for: name }, label, " ", reading), input);
  }

  get #values() {
    const inputs = [...this.parameters.querySelectorAll("[data-parameter]")];
    return Object.fromEntries(inputs.map((input) => [input.dataset.parameter, Number(input.value)]));
  }

  #draw() {
    const filter = FILTERS[this.choice.value];
    this.#show(filter.name, (source, stopped) => filter.draw(source, this.#values, stopped));
  }

  /** Draw and show, with regions and a sentence where there are any; a later drawing stops an earlier one. */
  async #show(name, make, { regions = null, finding = "" } = {}) {
    const run = ++this.#run;
    const stopped = () => run !== this.#run || !this.#stage.picture;
    this.said.textContent = t("Drawing…");
    // A slider moves faster than a large picture is drawn.
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (stopped()) return;
    try {
      this.#source ??= pixelsOf(this.#stage.picture);
      const image = await make(this.#source, stopped);
      if (stopped()) return;
      this.#stage.showDrawn(sheetOf(image), name, regions);
      this.said.textContent = finding;
      announce(t("{name} is shown over the picture.", { name }));
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  /** Let the reader choose another picture, to show in place of this one or to subtract from it. */
  #offerReference() {
    this.#run++;
    this.told.textContent =
      t("An older or original version. The server lays it over this picture, cropped, scaled or turned as it may be, and stores neither.");
    const mode = h(
      "select",
      { id: "tool-mode", change: () => this.#compare(mode, gain) },
      [t("Show it"), t("Show the difference")].map((text, i) => h("option", { value: i }, text)),
    );
    const gain = h("input", { type: "range", id: "tool-gain", min: 1, max: 30, value: 4, input: () => this.#compare(mode, gain) });
    const input = h("input", {
      type: "file",
      id: "tool-file",
      accept: "image/*,.heic,.heif,.avif,.tif,.tiff",
      change: async () => {
        const [file] = input.files;
        if (file && (await this.#lay(file))) this.#compare(mode, gain);
      },
    });
    this.parameters.replaceChildren(
      h("div", { class: "field" }, h("label", { for: "tool-file" }, t("Other picture")), input),
      h("div", { class: "field" }, h("label", { for: "tool-mode" }, t("Comparison")), mode),
      h("div", { class: "field" }, h("label", { for: "tool-gain" }, t("Brightness of the difference")), gain),
    );
    this.#compare(mode, gain);
  }

  /** Lay another picture over this one; return whether it can be shown. */
  async #lay(file) {
    const run = ++this.#run;
    this.#reference = null;
    this.found.replaceChildren();
    this.said.textContent = t("Laying the pictures over each other…");
    try {
      const laid = await laidOver(this.#stage.file, this.#stage.image, file);
      if (run !== this.#run) return false;
      if (laid.picture) this.#reference = laid;
      else this.said.textContent = t("This browser cannot read that file as a picture.");
      return laid.picture !== null;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (run === this.#run) this.said.textContent = `${problem.title}. ${problem.message}`;
      return false;
    }
  }

  #compare(mode, gain) {
    if (!this.#reference) return;
    const { picture, regions, finding } = this.#reference;
    this.found.replaceChildren(...differences(regions, (number) => this.#stage.showDifference(number)));
    const [name, draw] =
      mode.value === "1"
        ? [
            t("Difference to another picture"),
            (source, stopped) => difference(source, pixelsOf(picture, source, "transparent"), Number(gain.value), stopped),
          ]
        : [t("Another picture"), (source) => pixelsOf(picture, source)];
    this.#show(name, draw, { regions, finding });
  }

  /** Draw the loupe around the latest point. */
  #magnify() {
    const { picture, image } = this.#stage;
    if (!picture || !this.#point || !this.loupe.offsetParent) return;
    const side = LOUPE / Number(this.zoom.value);
    const scale = picture.width / image.width;
    const [x, y] = this.#point.map((at) => Math.round(at * scale - side / 2));
    const small = sheetOf(new ImageData(side, side));
    const context = small.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    context.drawImage(picture, -x, -y);
    if (this.enhanced.checked) {
      const pixels = context.getImageData(0, 0, side, side);
      stretch(pixels);
      context.putImageData(pixels, 0, 0);
    }
    const shown = this.loupe.getContext("2d");
    shown.imageSmoothingEnabled = false;
    shown.drawImage(small, 0, 0, LOUPE, LOUPE);
  }
}

function structure(parts) {
  const facts = parts.map(({ offset, name, length }) => ({
    label: decimal(offset),
    value: t("{name}, {count} bytes", { name, count: length }),
  }));
  return h(
    "details",
    { class: "structure" },
    h("summary", {}, t("Structure of the JPEG file ({count} parts)", { count: parts.length })),
    h("p", { class: "note" }, t("Where each part begins, in bytes. Editors leave parts of their own, and another order.")),
    table(facts, t("Structure of the JPEG file")),
  );
}

/** Return the pixels of a picture on a colour, at its own size or at that of `like`. */
function pixelsOf(picture, like = picture, ground = "#fff") {
  const { width, height } = like;
  const sheet = new OffscreenCanvas(width, height);
  const context = sheet.getContext("2d", { willReadFrequently: true });
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function sheetOf(image) {
  const sheet = new OffscreenCanvas(image.width, image.height);
  sheet.getContext("2d").putImageData(image, 0, 0);
  return sheet;
}
