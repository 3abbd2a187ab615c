// The result of one analysis, from the verdict to the limits of the method.

import * as api from "./api.js";
import { caseCard } from "./case.js";
import { announce, bytes, described, h, icon, ICONS, moment, save } from "./dom.js";
import { evidencePanel, table } from "./evidence.js";
import { compareCard } from "./compare.js";
import { feedbackCard } from "./feedback.js";
import { t } from "./language.js";
import * as layers from "./layers.js";
import { occupied } from "./occupied.js";
import { origin } from "./origin.js";
import { Problem } from "./problem.js";
import { Stage } from "./stage.js";
import { toolsCard } from "./tools.js";
import { certainty, copy, doubts, nextSteps, regions, verdict } from "./verdict.js";

/** Return the element of a result, and a function that closes it.
 *
 * `file` is the picture itself if this tab has it. `keep` makes the server keep it.
 * `remove` deletes the analysis.
 */
export function resultView({ analysis, name, file, thumbnail, listedFor, signed, keep, remove }) {
  const stage = new Stage(analysis, file);
  const keepButton = () =>
    file && !analysis.private
      ? h(
          "button",
          { type: "button", class: "small", click: (event) => occupied(event.currentTarget, keep) },
          t("Keep the picture on the server"),
        )
      : null;
  const shownName = h("bdi");
  const tellName = ({ title }) => (shownName.textContent = title || name || described(analysis.image));
  tellName(analysis.case);
  const element = h(
    "article",
    { class: "result", "data-verdict": analysis.verdict },
    h(
      "div",
      { class: "titled" },
      h(
        "p",
        { class: "name" },
        shownName,
        " ",
        h("span", { class: "note" }, moment(analysis.created)),
      ),
      analysis.private
        ? h("p", { class: "note" }, t("Private: deleted when you leave this page."))
        : copyLink(listedFor),
    ),
    h(
      "div",
      { class: "bench" },
      h(
        "div",
        { class: "about" },
        verdict(analysis),
        origin(analysis, file),
        nextSteps(analysis),
        regions(analysis, stage),
        caseCard(analysis, name, tellName),
        certainty(analysis),
        feedbackCard(analysis, stage),
        doubts(analysis),
      ),
      h("div", { class: "seen" }, stage.element, toolsCard(stage, file), compareCard(analysis), downloads({ analysis, stage, file, signed, keepButton, remove })),
    ),
    evidencePanel({ analysis, thumbnail, keepButton, onShow: (each) => stage.showMap(each) }),
    background(analysis),
  );
  return { element, close: () => stage.close() };
}

/** Return a button that copies the address of this result, which says who can open it. */
function copyLink(listedFor) {
  const address = h("span", { class: "unseen" }, location.href);
  const opens =
    listedFor === "key"
      ? t("It opens for everyone who has your key.")
      : t("It opens for everyone who reaches this server.");
  const button = h("button", { type: "button", class: "small", title: opens }, t("Copy link"));
  button.addEventListener("click", async () => {
    await copy(location.href, address);
    button.textContent = `${t("Copied.")} ${opens}`;
    announce(t("The link was copied."));
  });
  return h("p", { class: "link" }, address, button);
}

function downloads({ analysis, stage, file, signed, keepButton, remove }) {
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
      throw new Problem(404, t("The overlay needs the picture, which neither the server nor this tab has."));
    const drawn = await layers.overlayFile(file, await api.file(links.mask));
    if (!drawn)
      throw new Problem(
        413,
        t("This browser cannot draw a picture this large. Keep it on the server first."),
      );
    return drawn;
  };
  const kept = analysis.image.kept
    ? t("The server keeps the picture of this analysis, so reports show it.")
    : t("The server does not keep this picture, so reports outline the regions on a plain background.");
  return h(
    "section",
    { class: "downloads card", "aria-labelledby": "downloads-title" },
    h(
      "div",
      { class: "titled" },
      h("h2", { id: "downloads-title" }, t("Downloads")),
      h("button", { type: "button", class: "small quiet", click: remove }, t("Delete this analysis")),
    ),
    h(
      "div",
      { class: "buttons" },
      button(t("Report, PDF"), ".pdf", () => api.file(links.report_pdf), true),
      button(t("Report, HTML"), ".html", () => api.file(links.report_html)),
      button(t("Report, JSON"), ".json", () => api.file(links.report_json)),
      button(t("Mask"), "-mask.png", () => api.file(links.mask)),
      button(t("Overlay"), "-overlay.png", overlay),
      button(t("Animation"), ".webp", () => stage.animation()),
      button(t("Heatmap"), "-heatmap.png", () => api.file(links.heatmap)),
    ),
    said,
    h("p", { class: "note kept" }, kept, analysis.image.kept ? null : keepButton()),
    signed &&
      h("p", { class: "note" }, t("Reports are signed: the command tamperscope verify tells whether one was changed.")),
  );
}

function background({ image, bundle, versions, device, words }) {
  const facts = [
    { label: "SHA-256", value: image.sha256 },
    {
      label: t("Size"),
      value: t("{width} × {height} pixels, {size}", {
        width: String(image.width),
        height: String(image.height),
        size: bytes(image.byte_count),
      }),
    },
    { label: t("Format"), value: image.format },
    { label: t("Model"), value: `${bundle.name} ${bundle.version}` },
    { label: t("Model's SHA-256"), value: bundle.sha256 },
    ...Object.entries(versions).map(([name, version]) => ({
      label: t("Software"),
      value: `${name} ${version}`,
    })),
    ...(device === "cpu" ? [] : [{ label: t("Networks ran on"), value: device }]),
  ];
  return h(
    "div",
    { class: "background" },
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("Analysed file and software")),
      table(facts, t("File and software")),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, t("Limits")),
      h(
        "ul",
        {},
        words.limits.map((limit) => h("li", {}, limit)),
      ),
    ),
  );
}
