// What the reader adds to an analysis: title, case, notes and tags. The server stores it with the analysis.

import * as api from "./api.js";
import { announce, h } from "./dom.js";
import { t, tn } from "./language.js";
import { occupied } from "./occupied.js";

const LINES = [
  ["title", t("Title"), t("Reports begin with it")],
  ["number", t("Case number"), ""],
  ["analyst", t("Analyst"), t("Who looked at the picture")],
];

/** Return the form. `name` is the file's name if this tab knows it; `onSaved` receives what was stored. */
export function caseCard(analysis, name, onSaved) {
  const said = h("p", { class: "wrong", role: "alert" });
  const done = h("span", { class: "note", role: "status" });
  const changed = () => (done.textContent = "");
  const form = h("form", { class: "case-form", input: changed });
  const summary = h("span", { class: "note" });
  const add = (label, input, note = "") =>
    form.append(
      h("div", { class: "entry-field" }, h("label", { for: input.id }, label), input, note && h("span", { class: "note" }, note)),
    );
  for (const [name, label, note] of LINES)
    add(label, h("input", { id: `case-${name}`, name, maxlength: 200, value: analysis.case[name], autocomplete: "off" }), note);
  const title = form.querySelector("#case-title");
  if (name)
    title.after(
      h(
        "button",
        {
          type: "button",
          class: "small",
          click: () => {
            title.value = name.slice(0, 200);
            changed();
          },
        },
        t("Use the file’s name"),
      ),
    );
  add(
    t("Tags"),
    h("input", { id: "case-tags", name: "tags", value: analysis.case.tags.join(", "), autocomplete: "off" }),
    t("Separated by commas"),
  );
  add(t("Notes"), textarea("case-notes", "notes", analysis.case.notes, 4000));
  const regions = analysis.regions.filter(({ minor }) => !minor);
  for (const { label, place } of regions)
    add(
      t("Note on region {label}, {place}", { label, place }),
      textarea(`case-region-${label}`, `region ${label}`, analysis.case.region_notes[label] ?? "", 1000),
    );
  const button = h("button", { type: "submit", class: "primary" }, t("Save"));
  form.append(h("div", { class: "actions" }, button, done), said);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    occupied(
      button,
      async () => {
        analysis.case = await api.describe(analysis.id, caseOf(new FormData(form), analysis));
        done.textContent = t("Saved. Reports print it from now on.");
        announce(t("The notes were saved."));
        tell();
        onSaved(analysis.case);
      },
      said,
    );
  });

  function tell() {
    const { number, tags, notes, region_notes: onRegions } = analysis.case;
    const count = (notes ? 1 : 0) + Object.keys(onRegions).length;
    summary.textContent = [number, ...tags, count ? tn(count, "{count} note", "{count} notes") : ""]
      .filter(Boolean)
      .join(", ");
  }

  tell();
  return h(
    "details",
    { class: "folded case card" },
    h("summary", {}, h("h2", {}, t("Case and notes")), summary),
    form,
  );
}

function textarea(id, name, text, longest) {
  return h("textarea", { id, name, rows: 2, maxlength: longest }, text);
}

/** Return what a form holds, and what it has no field for. */
function caseOf(fields, analysis) {
  const text = (name) => String(fields.get(name) ?? "").trim();
  const onRegions = { ...analysis.case.region_notes };
  for (const name of fields.keys()) {
    const label = /^region (.+)$/.exec(name)?.[1];
    if (label && text(name)) onRegions[label] = text(name);
    else if (label) delete onRegions[label];
  }
  return {
    title: text("title"),
    number: text("number"),
    analyst: text("analyst"),
    notes: text("notes"),
    tags: [...new Set(text("tags").split(",").map((tag) => tag.trim()).filter(Boolean))],
    region_notes: onRegions,
  };
}
