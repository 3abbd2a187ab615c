// The result of one analysis, from the verdict to the limits of the method.

import * as api from "./api.js";
import { announce, bytes, described, h, icon, ICONS, moment, percent, printedScore } from "./dom.js";
import { evidencePanel, table } from "./evidence.js";
import * as layers from "./layers.js";
import { Stage } from "./stage.js";

/** Return the element of a result, and a function that closes it.
 *
 * `file` is the picture itself if this tab has it. `keep` makes the server keep it.
 * `remove` deletes the analysis.
 */
export function resultView({ analysis, name, file, thumbnail, keep, remove }) {
  const stage = new Stage(analysis, file);
  const keepButton = () =>
    file
      ? h(
          "button",
          { type: "button", class: "small", click: (event) => occupied(event.currentTarget, keep) },
          "Keep the picture on the server",
        )
      : null;
  const element = h(
    "article",
    { class: "result", "data-verdict": analysis.verdict },
    h(
      "div",
      { class: "titled" },
      h(
        "p",
        { class: "name" },
        h("bdi", {}, name ?? described(analysis.image)),
        " ",
        h("span", { class: "note" }, moment(analysis.created)),
      ),
    ),
    h(
      "div",
      { class: "bench" },
      h(
        "div",
        { class: "about" },
        verdict(analysis),
        origin(analysis, file),
        doubts(analysis),
        regions(analysis, stage),
        kinds(analysis),
      ),
      h("div", { class: "seen" }, stage.element, downloads({ analysis, stage, file, keepButton, remove })),
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
    h("h1", { tabindex: -1 }, icon(ICONS[verdict]), h("bdi", {}, words.headline)),
    h("p", {}, words.meaning),
    scoreScale(score, points),
  );
}

/** Return what the file proves and declares about where it comes from; null if it says nothing. */
function origin({ id, origin, evidence, image, words }, file) {
  const located = evidence.metadata?.details.located && (file || image.kept);
  if (!origin.claims.length && !located) return null;
  return h(
    "section",
    { class: "origin card" },
    h("h2", {}, "Origin of the file"),
    h("p", {}, h("b", {}, h("bdi", {}, origin.headline))),
    origin.rule && !words.meaning.startsWith(origin.rule.text) ? h("p", {}, origin.rule.text) : null,
    h(
      "ul",
      {},
      origin.claims.map((claim) =>
        h(
          "li",
          {},
          h("bdi", {}, claim.text),
          h("span", { class: "note" }, ` ${capital(claim.basis)}: `, h("bdi", {}, claim.source), `. ${claim.belief}`),
        ),
      ),
    ),
    located ? place(id, file) : null,
  );
}

/** Return a button that shows where the picture was taken. No one but the reader opens the map. */
function place(id, file) {
  const shown = h("p", { class: "place" });
  const show = async () => {
    const found = await api.location(id, file);
    shown.replaceChildren(
      found
        ? h(
            "span",
            {},
            `The file states ${found.latitude}, ${found.longitude}. `,
            h("a", { href: found.map, target: "_blank", rel: "noopener noreferrer" }, "Open a map"),
          )
        : "The file states no position.",
    );
  };
  shown.append(
    h(
      "button",
      { type: "button", class: "small", click: (event) => occupied(event.currentTarget, show) },
      "Show where it was taken, as the file states",
    ),
  );
  return shown;
}

function scoreScale(score, points) {
  const parts = points
    ? [
        ["low", 0, points.authentic_below],
        ["middle", points.authentic_below, points.manipulated_above],
        ["high", points.manipulated_above, 1],
      ]
    : [["middle", 0, 1]];
  const at = (element, share) => (element.style.setProperty("--at", share), element);
  const limits = points ? [...new Set([points.authentic_below, points.manipulated_above])] : [];
  return h(
    "div",
    { class: "score", role: "img", "aria-label": `Score ${printedScore(score)} on a scale from 0 to 1` },
    at(h("b", {}, printedScore(score)), Math.min(0.96, Math.max(0.04, score))),
    at(h("i", {}), score),
    h(
      "div",
      { class: "track" },
      parts.map(([kind, from, to]) => at(h("span", { class: kind }), to - from)),
    ),
    h(
      "div",
      { class: "ends" },
      h("span", {}, "0"),
      limits.map((limit) => at(h("span", { class: "limit" }, limit.toFixed(2)), limit)),
      h("span", {}, "1"),
    ),
  );
}

function doubts({ notes, image }) {
  const all = [...notes, ...image.notes.map((note) => `How the file was read: ${note}.`)];
  if (!all.length) return null;
  return h(
    "section",
    { class: "doubts card" },
    h("h2", {}, "Before you rely on this"),
    h(
      "ul",
      {},
      all.map((note) => h("li", {}, note)),
    ),
  );
}

function regions({ regions, words }, stage) {
  const buttons = regions.map((region, number) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        click: () => stage.show(stage.selected === number ? null : number),
      },
      h("span", { class: "number" }, String(number + 1)),
      h(
        "span",
        {},
        h(
          "b",
          {},
          capital(region.place),
          region.type ? `: ${words.types[region.type].name.toLowerCase()}` : "",
        ),
        h(
          "span",
          { class: "note" },
          `${percent(region.area_share)} of the picture, mean probability ${region.probability.toFixed(2)}`,
        ),
        region.source &&
          h(
            "span",
            { class: "note source" },
            region.source.decided
              ? "Probably copied from the region outlined in blue"
              : "Matches the region outlined in blue; which of the two is the copy is uncertain",
          ),
      ),
    ),
  );
  stage.onSelected = (number) =>
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === number)));
  return h(
    "section",
    { class: "regions card" },
    h("h2", {}, "Marked regions"),
    buttons.length
      ? h(
          "ol",
          {},
          buttons.map((button) => h("li", {}, button)),
        )
      : h("p", { class: "note" }, "None."),
  );
}

function kinds({ verdict, type_scores: scores, words, origin }) {
  if (verdict === "authentic" || origin.kind === "generated") return null;
  const order = Object.entries(scores).sort(([, one], [, other]) => other - one);
  const bar = (share) => {
    const filled = h("span", { class: "fill" });
    filled.style.setProperty("--share", share);
    return filled;
  };
  return h(
    "section",
    { class: "kinds card" },
    h("h2", {}, "How it was manipulated, if it was"),
    h(
      "dl",
      {},
      order.map(([kind, share]) =>
        h(
          "div",
          {},
          h("dt", {}, words.types[kind].name, h("span", {}, share.toFixed(2))),
          h("dd", {}, bar(share), h("span", { class: "note" }, capital(words.types[kind].meaning))),
        ),
      ),
    ),
    h("p", { class: "note" }, words.types_caveat),
  );
}

function downloads({ analysis, stage, file, keepButton, remove }) {
  const { links, id } = analysis;
  const said = h("p", { class: "wrong", role: "alert" });
  const button = (label, suffix, fetching, primary = false) =>
    h(
      "button",
      {
        type: "button",
        class: primary ? "primary" : null,
        click: (event) =>
          occupied(
            event.currentTarget,
            async () => save(await fetching(), `tamperscope-${id.slice(0, 8)}${suffix}`),
            said,
          ),
      },
      icon(ICONS.download),
      label,
    );
  const overlay = async () => {
    if (links.overlay) return api.file(links.overlay);
    if (!stage.picture)
      throw new api.Problem(404, "The overlay needs the picture, which neither the server nor this tab has.");
    const drawn = await layers.overlayFile(file, await api.file(links.mask));
    if (!drawn)
      throw new api.Problem(
        413,
        "This browser cannot draw a picture this large. Keep it on the server first.",
      );
    return drawn;
  };
  const kept = analysis.image.kept
    ? "The server keeps the picture of this analysis, so reports show it."
    : "The server does not keep this picture, so reports outline the regions on a plain background.";
  return h(
    "section",
    { class: "downloads card", "aria-labelledby": "downloads-title" },
    h(
      "div",
      { class: "titled" },
      h("h2", { id: "downloads-title" }, "Downloads"),
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

/** Run an action with its button disabled, and show what went wrong. */
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
  announce(`${name} was saved.`);
}

function background({ reasons, image, bundle, versions, words }) {
  const facts = [
    { label: "SHA-256", value: image.sha256 },
    { label: "Size", value: `${image.width} × ${image.height} pixels, ${bytes(image.byte_count)}` },
    { label: "Format", value: image.format },
    { label: "Model", value: `${bundle.name} ${bundle.version}` },
    { label: "Model’s SHA-256", value: bundle.sha256 },
    ...Object.entries(versions).map(([name, version]) => ({
      label: "Software",
      value: `${name} ${version}`,
    })),
  ];
  return h(
    "div",
    { class: "background" },
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Analysed file and software"),
      table(facts, "File and software"),
      reasons.length
        ? [
            h("h2", {}, "What moved the score"),
            h(
              "ul",
              {},
              reasons.map(({ text }) => h("li", {}, text)),
            ),
          ]
        : null,
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "Limits"),
      h(
        "ul",
        {},
        words.limits.map((limit) => h("li", {}, limit)),
      ),
    ),
  );
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
