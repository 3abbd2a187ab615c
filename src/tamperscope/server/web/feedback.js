// What a reader who knows the truth says of the verdict. The server keeps it for its next calibration.

import * as api from "./api.js";
import { announce, h } from "./dom.js";
import { t } from "./language.js";
import { occupied } from "./occupied.js";

const TRUTHS = [
  ["authentic", t("It is authentic")],
  ["manipulated", t("It was manipulated")],
];

/** Return the card. `stage` tells which part of the picture is shown. */
export function feedbackCard(analysis, stage) {
  const said = h("p", { class: "wrong", role: "alert" });
  const done = h("p", { class: "note", role: "status" });
  const buttons = TRUTHS.map(([truth, label]) =>
    h(
      "button",
      { type: "button", class: "small", "aria-pressed": "false", click: (event) => store(event.currentTarget, { truth }) },
      label,
    ),
  );
  const types = Object.entries(analysis.words.types);
  const type = h(
    "select",
    { id: "feedback-type", change: () => store(type, { type: type.value || null }) },
    h("option", { value: "" }, t("Not known")),
    types.map(([id, { name }]) => h("option", { value: id }, name)),
  );
  const region = h(
    "button",
    { type: "button", class: "small", click: () => store(region, { region: stage.visible }) },
    t("It is the part that is shown now"),
  );
  const more = h(
    "div",
    { class: "feedback-more" },
    h("div", { class: "field" }, h("label", { for: "feedback-type" }, t("How?")), type),
    h("div", { class: "field" }, h("span", {}, t("Where? Zoom in on the place.")), region),
  );
  const back = h(
    "button",
    { type: "button", class: "small quiet", click: () => occupied(back, takeBack, said) },
    t("Take it back"),
  );
  const card = h(
    "section",
    { class: "feedback card" },
    h("h2", {}, t("Was this wrong?")),
    h(
      "p",
      { class: "note" },
      t("If you know the truth, say it. The server keeps what it measured and your answer, so that its operator can calibrate the model with it."),
    ),
    h("div", { class: "buttons" }, buttons, back),
    more,
    done,
    said,
  );

  function store(button, change) {
    const { truth } = { ...analysis.feedback, ...change };
    const kept = truth === analysis.feedback?.truth ? analysis.feedback : {};
    return occupied(
      button,
      async () => {
        analysis.feedback = await api.correct(analysis.id, { ...kept, ...change, truth });
        announce(t("Your answer was saved."));
        tell();
      },
      said,
    );
  }

  async function takeBack() {
    await api.takeBack(analysis.id);
    analysis.feedback = null;
    announce(t("Your answer was taken back."));
    tell();
  }

  function tell() {
    const given = analysis.feedback;
    TRUTHS.forEach(([truth], i) => buttons[i].setAttribute("aria-pressed", String(given?.truth === truth)));
    more.hidden = given?.truth !== "manipulated";
    back.hidden = !given;
    type.value = given?.type ?? "";
    done.textContent = given ? stored(given) : "";
  }

  tell();
  return card;
}

function stored({ region }) {
  if (!region) return t("Saved.");
  const { x, y, width, height } = region;
  return t("Saved, with the place: {width} × {height} pixels, from {x}, {y}.", {
    width: String(width),
    height: String(height),
    x: String(x),
    y: String(y),
  });
}
