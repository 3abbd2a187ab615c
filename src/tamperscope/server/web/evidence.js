// One tab for each measurement: what it found, what that can mean, and what it cannot tell.

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./language.js";
import { isEmpty } from "./layers.js";

/** Return the panel of an analysis's evidence. `onShow` receives the name of a map to overlay. */
export function evidencePanel({ analysis, thumbnail, keepButton, onShow }) {
  const order = Object.entries(analysis.evidence).sort(([, one], [, other]) => weight(other) - weight(one));
  if (!order.length) return null;
  const tabs = order.map(([name, found], i) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${name}`,
        "aria-controls": `panel-${name}`,
        "aria-selected": i === 0,
        tabindex: i === 0 ? 0 : -1,
        "data-notable": found.notable,
        "data-inapplicable": !found.applicable,
        click: () => choose(i, false),
      },
      h("span", {}, found.title),
      h("span", { class: "rating" }, found.rating ?? t("not applicable")),
    ),
  );
  const panels = order.map(([name, found], i) =>
    h(
      "div",
      { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, tabindex: 0, hidden: i > 0 },
      ...contents(name, found, { thumbnail, keepButton, onShow }),
    ),
  );
  const list = h(
    "div",
    { role: "tablist", "aria-label": t("Measurements"), "aria-orientation": "vertical", keydown: steer },
    tabs,
  );

  function choose(chosen, focused) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === chosen));
      tab.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    });
    if (focused) tabs[chosen].focus();
    load(panels[chosen]);
  }

  function steer(event) {
    const at = tabs.indexOf(document.activeElement);
    const last = tabs.length - 1;
    const next = {
      ArrowDown: at + 1,
      ArrowRight: at + 1,
      ArrowUp: at - 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: last,
    };
    if (at < 0 || !(event.key in next)) return;
    event.preventDefault();
    choose((next[event.key] + tabs.length) % tabs.length, true);
  }

  load(panels[0]);
  return h(
    "section",
    { class: "evidence card", "aria-labelledby": "evidence-title" },
    h("h2", { id: "evidence-title" }, t("Evidence")),
    h("p", { class: "note" }, analysis.words.strengths),
    h("div", { class: "tabs" }, list, h("div", {}, panels)),
  );
}

function weight(found) {
  return found.applicable ? (found.notable ? 1 + found.strength : 1) : 0;
}

function contents(name, found, { thumbnail, keepButton, onShow }) {
  const explained = found.explanation;
  return [
    h(
      "h3",
      {},
      found.title,
      " ",
      h("span", { class: "rating", "data-notable": found.notable }, found.rating ?? t("not applicable")),
    ),
    h("p", { class: "finding", dir: "auto" }, found.finding),
    h(
      "div",
      { class: "beside" },
      figures(name, found, { thumbnail, keepButton, onShow }),
      h(
        "dl",
        { class: "explanation" },
        h("div", {}, h("dt", {}, t("What you see")), h("dd", {}, explained.what_you_see)),
        h("div", {}, h("dt", {}, t("What it can mean")), h("dd", {}, explained.what_it_can_mean)),
        h("div", {}, h("dt", {}, t("What it cannot tell")), h("dd", {}, explained.what_it_cannot)),
      ),
    ),
    found.facts.length ? table(found.facts, t("Details: {title}", { title: found.title })) : null,
    found.details.entries?.length ? everything(found.details.entries) : null,
  ].filter(Boolean);
}

/** Return the complete list of what a file states, with a field to search it. */
function everything(entries) {
  const facts = entries.map(({ group, name, value }) => ({ label: `${group}: ${name}`, value }));
  const found = h("div");
  const search = (text) => {
    const wanted = text.trim().toLowerCase();
    const kept = facts.filter(({ label, value }) => `${label} ${value}`.toLowerCase().includes(wanted));
    found.replaceChildren(kept.length ? table(kept, t("All metadata")) : h("p", { class: "note" }, t("Nothing fits.")));
  };
  search("");
  return h(
    "details",
    { class: "everything" },
    h("summary", {}, t("All metadata ({count})", { count: facts.length })),
    h(
      "label",
      {},
      t("Search"),
      " ",
      h("input", { type: "search", input: (event) => search(event.currentTarget.value) }),
    ),
    found,
  );
}

function figures(name, found, { thumbnail, keepButton, onShow }) {
  const shown = [];
  if (found.map) {
    shown.push(
      h(
        "figure",
        {},
        h("img", { alt: t("Map: {title}", { title: found.title }), "data-map": found.map }),
        h(
          "figcaption",
          {},
          scale(),
          h(
            "button",
            { type: "button", class: "small", click: () => onShow(name) },
            t("Show over the picture"),
          ),
        ),
      ),
    );
  }
  const preview = found.details.preview;
  if (preview) shown.push(...previews(preview, thumbnail, keepButton));
  if (found.details.parts) shown.push(...ingredients(found.details.parts));
  return shown.length ? h("div", { class: "figures" }, shown) : null;
}

/** Return the preview that is stored inside the file, next to the picture. */
function previews(preview, thumbnail, keepButton) {
  if (!preview.picture) {
    return [
      h(
        "p",
        { class: "note" },
        t("The file contains a small preview. The server keeps it only together with the picture."),
        " ",
        keepButton(),
      ),
    ];
  }
  const size = { width: preview.width, height: preview.height };
  return [
    h(
      "div",
      { class: "pair" },
      h(
        "figure",
        {},
        h("img", { src: preview.picture, alt: t("The preview inside the file"), ...size }),
        h("figcaption", {}, t("Preview inside the file")),
      ),
      thumbnail &&
        h(
          "figure",
          {},
          h("img", { src: thumbnail, alt: t("The picture, cropped to a square") }),
          h("figcaption", {}, t("The picture, cropped to a square")),
        ),
    ),
  ];
}

/** Return the previews of what the picture was made from, which its Content Credentials hold. */
function ingredients(parts) {
  return parts
    .filter((part) => part.picture)
    .map((part) =>
      h(
        "figure",
        {},
        h("img", { src: part.picture, alt: t("A preview of an ingredient") }),
        h("figcaption", {}, part.title ? t("Made from: {title}", { title: part.title }) : t("Made from")),
      ),
    );
}

/** Fetch the map of a panel when the panel is first shown. */
async function load(panel) {
  for (const image of panel.querySelectorAll("img[data-map]")) {
    const { map } = image.dataset;
    delete image.dataset.map;
    try {
      const file = await api.file(map);
      if (await isEmpty(file)) {
        image
          .closest("figure")
          .replaceWith(h("p", { class: "note" }, t("The map is empty for this picture.")));
        continue;
      }
      image.src = URL.createObjectURL(file);
      image.onload = () => URL.revokeObjectURL(image.src);
    } catch (problem) {
      image.replaceWith(h("p", { class: "wrong" }, `${t("The map cannot be shown.")} ${problem.message}`));
    }
  }
}

export function scale() {
  return h(
    "span",
    { class: "scale" },
    "0",
    h("img", { src: "page/colours.png", alt: t("Colours from 0, dark, to 1, bright") }),
    "1",
  );
}

export function table(facts, caption) {
  return h(
    "div",
    { class: "wide" },
    h(
      "table",
      { class: "facts" },
      h("caption", { class: "unseen" }, caption),
      h(
        "tbody",
        {},
        facts.map(({ label, value }) =>
          h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, label)), h("td", {}, h("bdi", {}, value))),
        ),
      ),
    ),
  );
}
