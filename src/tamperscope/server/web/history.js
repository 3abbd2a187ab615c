// The analyses on the server, as rows.

import * as api from "./api.js";
import { bytes, described, h, icon, ICONS, moment, scoreText } from "./dom.js";
import { parts, t } from "./language.js";
import { lasting, remembered, setLasting } from "./session.js";

/** Return the row of one analysis; `onDelete` is called with its id. */
export function row(summary, onDelete) {
  const { id, created, verdict, headline, score, image, title, case_number: number, tags } = summary;
  const { name, thumbnail } = remembered(id) ?? {};
  return h(
    "li",
    { "data-verdict": verdict },
    h(
      "a",
      { href: `#/analyses/${id}` },
      small(thumbnail, summary.links.thumbnail),
      h(
        "span",
        { class: "what" },
        h("b", {}, icon(ICONS[verdict]), headline, h("span", { class: "note" }, t("score {score}", { score: scoreText(score) }))),
        h("bdi", {}, title || name || described(image)),
        h(
          "span",
          { class: "note" },
          moment(created),
          `${t(", ")}${bytes(image.byte_count)}${image.kept ? t(", ") + t("picture kept") : ""}`,
          number ? [t(", "), ...parts("case {number}", { number: h("bdi", {}, number) })] : null,
        ),
        tags.length ? h("span", { class: "tags" }, tags.map((tag) => h("bdi", {}, tag))) : null,
      ),
    ),
    onDelete &&
      h(
        "button",
        {
          type: "button",
          class: "small quiet",
          "aria-label": t("Delete the analysis of {name}", { name: name ?? image.sha256.slice(0, 8) }),
          click: () => onDelete(id),
        },
        t("Delete"),
      ),
  );
}

/** Return a thumbnail: this browser's, or the server's if it keeps the picture. */
function small(known, link) {
  if (known) return picture(known);
  const blank = h("span", { class: "blank" }, icon(ICONS.picture));
  if (link)
    api.file(link).then(
      (file) => {
        const address = URL.createObjectURL(file);
        const shown = picture(address);
        shown.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
        blank.replaceWith(shown);
      },
      () => {}, // The row is as useful without it.
    );
  return blank;
}

function picture(address) {
  return h("img", { src: address, alt: "", width: 56, height: 56 });
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
    this.#filters.addEventListener("submit", (event) => {
      event.preventDefault();
      this.open();
    });
    this.#filters.querySelector("select").addEventListener("change", () => this.open());
    const lastingBox = section.querySelector("#lasting");
    lastingBox.checked = lasting();
    lastingBox.addEventListener("change", () => setLasting(lastingBox.checked));
  }

  async open() {
    this.#rows.replaceChildren();
    await this.#load(api.searchAddress(this.#wanted));
  }

  get #filters() {
    return this.#section.querySelector(".filters");
  }

  get #wanted() {
    return Object.fromEntries(new FormData(this.#filters));
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
      const empty = this.#section.querySelector(".empty");
      empty.hidden = this.#rows.childElementCount > 0;
      const searched = Object.values(this.#wanted).some(Boolean);
      empty.firstElementChild.textContent = searched ? t("No analysis fits.") : t("Nothing here yet.");
    } catch (problem) {
      this.onProblem(problem, place);
    }
  }
}
