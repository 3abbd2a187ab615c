// The analyses on the server, as rows.

import * as api from "./api.js";
import { bytes, described, h, icon, ICONS, moment, printedScore } from "./dom.js";
import { remembered } from "./session.js";

/** Return the row of one analysis; `onDelete` is called with its id. */
export function row({ id, created, verdict, headline, score, image }, onDelete) {
  const { name, thumbnail } = remembered(id) ?? {};
  return h(
    "li",
    { "data-verdict": verdict },
    h(
      "a",
      { href: `#/analyses/${id}` },
      thumbnail
        ? h("img", { src: thumbnail, alt: "", width: 56, height: 56 })
        : h("span", { class: "blank" }, icon(ICONS.picture)),
      h(
        "span",
        { class: "what" },
        h("b", {}, icon(ICONS[verdict]), headline, h("span", { class: "note" }, `score ${printedScore(score)}`)),
        h("bdi", {}, name ?? described(image)),
        h(
          "span",
          { class: "note" },
          moment(created),
          `, ${bytes(image.byte_count)}${image.kept ? ", picture kept" : ""}`,
        ),
      ),
    ),
    onDelete &&
      h(
        "button",
        {
          type: "button",
          class: "small quiet",
          "aria-label": `Delete the analysis of ${name ?? image.sha256.slice(0, 8)}`,
          click: () => onDelete(id),
        },
        "Delete",
      ),
  );
}

/** The page of all earlier analyses. */
export class History {
  #section;
  #next = null;

  constructor(section, onDelete, onProblem) {
    this.#section = section;
    this.onDelete = onDelete;
    this.onProblem = onProblem;
    this.#more.addEventListener("click", () => this.#load(this.#next));
  }

  async open() {
    this.#rows.replaceChildren();
    await this.#load();
  }

  get #rows() {
    return this.#section.querySelector(".rows");
  }

  get #more() {
    return this.#section.querySelector("#more");
  }

  async #load(address) {
    this.#more.hidden = true;
    const place = this.#section.querySelector(".problem-place");
    place.replaceChildren();
    try {
      const { analyses, next } = await api.history(address);
      this.#rows.append(...analyses.map((each) => row(each, this.onDelete)));
      this.#next = next;
      this.#more.hidden = !next;
      this.#section.querySelector(".empty").hidden = this.#rows.childElementCount > 0;
    } catch (problem) {
      this.onProblem(problem, place);
    }
  }
}
