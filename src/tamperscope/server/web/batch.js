// Many pictures as a table: to sort, filter, search and take away.

import * as api from "./api.js";
import { addressOf, pauseLine, standing, thumbnail } from "./cards.js";
import { downloadZip } from "./client-zip.js";
import { announce, h, icon, ICONS, printedScore, save, scoreText } from "./dom.js";
import { t } from "./language.js";
import { Problem } from "./problem.js";

const COLUMNS = [
  [t("Picture"), ({ name }) => name.toLowerCase()],
  [t("Verdict"), (item) => ORDER.indexOf(item.summary?.verdict ?? item.stage)],
  [t("Score"), ({ summary }) => -(summary?.score ?? -1)],
  [t("Type"), (item) => typeOf(item)],
  [t("Origin"), (item) => originOf(item)],
];
const ORDER = ["manipulated", "inconclusive", "authentic", "failed", "analysing", "sending", "waiting"];

/** Return the link to the table, for the pages of single pictures. */
export function tableLink(work) {
  return h("a", { class: "button small", href: "#/table" }, t("All {count} pictures", { count: work.items.length }));
}

function typeOf({ summary }) {
  return summary?.verdict === "manipulated" ? summary.type_name : "";
}

/** Return what the file says about where it comes from; empty if it says nothing. */
function originOf({ summary }) {
  return !summary || summary.origin.kind === "unknown" ? "" : summary.origin.headline;
}

/** The table of all pictures from this visit. */
export class Batch {
  #work;
  #section;
  #sorted = { column: null, down: false };
  #pending = false;

  constructor(section, work) {
    this.#work = work;
    this.#section = section;
    const button = (label, act) => h("button", { type: "button", class: "small", click: act }, label);
    this.search = h("input", { type: "search", id: "search", input: () => this.update() });
    this.filter = h(
      "select",
      { id: "filter", change: () => this.update() },
      [
        ["", t("All")],
        ["manipulated", t("Manipulated")],
        ["inconclusive", t("Inconclusive")],
        ["authentic", t("No manipulation found")],
        ["failed", t("Failed")],
      ].map(([value, label]) => h("option", { value }, label)),
    );
    this.progress = h("progress", { max: 1, value: 0, "aria-label": t("Finished") });
    this.standing = h("p", { class: "standing" });
    this.pause = h("p", { class: "note pause", role: "status" });
    this.retry = button(t("Retry"), () => this.#work.retry(this.#failed));
    this.cancel = button(t("Cancel the rest"), () => this.#work.cancelAll());
    this.said = h("p", { class: "wrong", role: "alert" });
    this.reports = button(t("Reports, zip"), () => this.#saveReports());
    this.heads = COLUMNS.map(([label], i) =>
      h("th", { scope: "col" }, h("button", { type: "button", click: () => this.#sort(i) }, label)),
    );
    this.body = h("tbody");
    section.append(
      h(
        "div",
        { class: "titled" },
        h("h1", {}, t("Pictures from this visit")),
        h(
          "div",
          { class: "actions" },
          button("CSV", () => this.#saveTable("csv", csv)),
          button("JSON", () => this.#saveTable("json", json)),
          this.reports,
        ),
      ),
      this.said,
      this.progress,
      h("div", { class: "titled" }, this.standing, h("div", { class: "actions" }, this.retry, this.cancel)),
      this.pause,
      h(
        "div",
        { class: "filters" },
        h("label", { for: "search" }, t("Search")),
        this.search,
        h("label", { for: "filter" }, t("Show")),
        this.filter,
      ),
      h(
        "div",
        { class: "wide card" },
        h(
          "table",
          { class: "batch" },
          h("caption", { class: "unseen" }, t("Pictures and their verdicts")),
          h("thead", {}, h("tr", {}, h("th", { class: "thumb" }, h("span", { class: "unseen" }, t("Thumbnail"))), this.heads)),
          this.body,
        ),
      ),
    );
  }

  open() {
    if (!this.#work.items.length) location.replace("#/");
    this.update();
  }

  /** Draw the table again, at most once a frame however much changes. */
  update() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  get #failed() {
    return this.#work.items.filter(({ stage }) => stage === "failed");
  }

  #draw() {
    const { items, pause, unfinished } = this.#work;
    const failed = this.#failed.length;
    const done = items.length - unfinished.length;
    const found = items.filter(({ summary }) => summary?.verdict === "manipulated").length;
    this.standing.textContent =
      t("{done} of {count} finished, {found} manipulated", { done, count: items.length, found }) +
      (failed ? t(", {failed} failed", { failed }) : "");
    this.progress.value = items.length ? done / items.length : 1;
    this.progress.hidden = !unfinished.length;
    this.retry.hidden = !failed;
    this.retry.textContent = t("Retry all failed ({failed})", { failed });
    this.cancel.hidden = !unfinished.length;
    this.reports.disabled = done === failed;
    this.pause.replaceChildren(
      ...(pause
        ? [
            pauseLine(pause),
            " ",
            h("button", { type: "button", class: "small", click: () => this.#work.hurry() }, t("Try now")),
          ]
        : []),
    );
    this.heads.forEach((head, i) =>
      head.setAttribute(
        "aria-sort",
        this.#sorted.column === i ? (this.#sorted.down ? "descending" : "ascending") : "none",
      ),
    );
    this.body.replaceChildren(...this.#shown().map(tableRow));
  }

  #shown() {
    const words = this.search.value.trim().toLowerCase();
    const shown = this.#work.items.filter(
      (item) =>
        item.name.toLowerCase().includes(words) &&
        (!this.filter.value || (item.summary?.verdict ?? item.stage) === this.filter.value),
    );
    const { column, down } = this.#sorted;
    if (column === null) return shown;
    const keyOf = COLUMNS[column][1];
    shown.sort((one, other) => {
      const [a, b] = [keyOf(one), keyOf(other)];
      return a < b ? -1 : a > b ? 1 : 0;
    });
    return down ? shown.reverse() : shown;
  }

  #sort(column) {
    const down = this.#sorted.column === column && !this.#sorted.down;
    this.#sorted = { column, down };
    this.update();
  }

  #saveTable(suffix, write) {
    const rows = this.#shown().map((item) => ({
      name: item.name,
      verdict: item.summary?.verdict ?? item.stage,
      score: item.summary ? printedScore(item.summary.score) : "",
      type: item.summary?.verdict === "manipulated" ? item.summary.type : "",
      origin: originOf(item),
      sha256: item.summary?.image.sha256 ?? "",
      analysis: item.summary ? new URL(addressOf(item), location.href).href : "",
      problem: item.problem ? `${item.problem.title}. ${item.problem.message}`.trim() : "",
    }));
    save(new Blob([write(rows)]), `tamperscope.${suffix}`);
  }

  /** Save the PDF report of each finished picture that the table shows, in one zip archive. */
  async #saveReports() {
    const items = this.#shown().filter(({ summary }) => summary);
    this.reports.disabled = true;
    this.said.textContent = "";
    try {
      const reports = reportsOf(items, (number) => this.#tellReport(number, items.length));
      save(await downloadZip(reports).blob(), "tamperscope-reports.zip");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.said.textContent = `${problem.title}. ${problem.message}`;
    } finally {
      this.reports.disabled = false;
      this.reports.textContent = t("Reports, zip");
    }
  }

  #tellReport(number, count) {
    this.reports.textContent = t("Report {number} of {count}", { number, count });
    announce(this.reports.textContent);
  }
}

async function* reportsOf(items, tell) {
  for (const [i, item] of items.entries()) {
    tell(i + 1);
    const number = String(i + 1).padStart(String(items.length).length, "0");
    // A name that every operating system can unpack.
    const name = item.name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(-80);
    yield {
      name: `${number}-${name}.pdf`,
      lastModified: new Date(),
      input: await api.file(`v1/analyses/${item.summary.id}/report.pdf`),
    };
  }
}

function tableRow(item) {
  const verdict = item.summary?.verdict ?? item.stage;
  return h(
    "tr",
    { "data-verdict": verdict },
    h("td", { class: "thumb" }, thumbnail(item, 40)),
    h("th", { scope: "row" }, h("a", { href: addressOf(item) }, h("bdi", {}, item.name))),
    h("td", { class: "verdict-cell" }, ICONS[verdict] && icon(ICONS[verdict]), standing(item)),
    h("td", { class: "number" }, item.summary ? scoreText(item.summary.score) : ""),
    h("td", {}, typeOf(item)),
    h("td", { class: "origin-cell" }, h("bdi", {}, originOf(item))),
  );
}

function csv(rows) {
  // A spreadsheet would run a name that begins like a formula.
  const cell = (text) => `"${String(text).replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const lines = [Object.keys(rows[0] ?? { name: "" }), ...rows.map(Object.values)];
  return `\ufeff${lines.map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
}

function json(rows) {
  return JSON.stringify(rows, null, 2);
}
