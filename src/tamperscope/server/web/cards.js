// What stands in the place of a result that is not there yet: progress, a pause, or a problem.

import { bytes, h, icon, ICONS, percent, seconds as secondsText } from "./dom.js";
import { parts, t } from "./language.js";

/** Return the pictures from this visit, side by side. */
export function strip(items, current) {
  return h(
    "ol",
    {},
    items.map((item) =>
      h(
        "li",
        {},
        h(
          "a",
          {
            href: addressOf(item),
            "aria-current": item === current ? "true" : null,
            "data-verdict": item.summary?.verdict ?? item.stage,
          },
          thumbnail(item, 40),
          h("span", {}, h("bdi", {}, item.name), h("span", { class: "note" }, standing(item))),
        ),
      ),
    ),
  );
}

export function addressOf(item) {
  return item.summary ? `#/analyses/${item.summary.id}` : `#/pictures/${item.number}`;
}

export function thumbnail(item, side) {
  return item.thumbnail
    ? h("img", { src: item.thumbnail, alt: "", width: side, height: side })
    : h("span", { class: "blank" }, icon(ICONS.picture));
}

/** Return in a word or two how far a picture is. */
export function standing(item) {
  if (item.summary) return item.summary.headline;
  if (item.stage === "sending") return t("Sending, {share}", { share: percent(Math.round(100 * item.sent) / 100) });
  return { waiting: t("Waiting"), analysing: t("Analysing"), failed: item.problem?.title }[item.stage];
}

export function progressCard(item, work, cancel) {
  if (work.pause) return pauseCard(item, work, cancel);
  const ahead = work.unfinished.filter((other) => other.number < item.number);
  const step = (stage, label, detail) => {
    const order = ["waiting", "sending", "analysing"];
    const state =
      order.indexOf(stage) < order.indexOf(item.stage) ? "over" : stage === item.stage ? "now" : "ahead";
    return h(
      "li",
      { "data-state": state, "aria-current": state === "now" ? "step" : null },
      h("b", {}, label),
      h("span", { class: "note" }, state === "ahead" ? "" : detail),
    );
  };
  const bar = h("progress", {
    max: 1,
    "aria-label": t("Sent"),
    value: item.stage === "analysing" ? null : item.sent,
  });
  return h(
    "section",
    { class: "progress card" },
    thumbnail(item, 112),
    h(
      "div",
      {},
      h("h1", {}, h("bdi", {}, item.name)),
      bar,
      h(
        "ol",
        {},
        step("waiting", t("Waiting"), item.stage === "waiting" ? t("{number} ahead of it", { number: ahead.length }) : ""),
        step(
          "sending",
          t("Sending"),
          t("{share} of {size}", { share: percent(Math.round(100 * item.sent) / 100), size: bytes(item.file.size) }),
        ),
        step("analysing", t("Analysing"), elapsed(item, work.pace)),
      ),
      h("button", { type: "button", click: cancel }, t("Cancel")),
    ),
  );
}

/** Return a clock that runs in the browser, because the server does not report its progress. */
function elapsed(item, pace) {
  const clock = h(
    "span",
    { "data-since": item.since },
    secondsText(Math.floor((performance.now() - item.since) / 1000)),
  );
  const seconds = pace && item.megapixels && Math.max(1, Math.round(pace * item.megapixels));
  return h("span", {}, clock, seconds ? t(" of about {time}", { time: secondsText(seconds) }) : "");
}

/** Return what the work waits for, and when it goes on by itself. */
export function pauseLine({ problem, until }) {
  return h(
    "span",
    {},
    `${problem.title}. ${problem.advice} `,
    parts("Trying again in {time}.", {
      time: h(
        "span",
        { "data-until": until },
        secondsText(Math.max(0, Math.ceil((until - performance.now()) / 1000))),
      ),
    }),
  );
}

function pauseCard(item, work, cancel) {
  return h(
    "section",
    { class: "progress card", role: "status" },
    thumbnail(item, 112),
    h(
      "div",
      {},
      h("h1", {}, h("bdi", {}, item.name)),
      h("p", {}, pauseLine(work.pause)),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "primary", click: () => work.hurry() }, t("Try now")),
        h("button", { type: "button", click: cancel }, t("Cancel")),
      ),
    ),
  );
}

/** Return what went wrong. `enterKey` asks for a key, then acts again. */
export function problemCard(problem, { retry = null, enterKey, name = null }) {
  const button = (label, act) => h("button", { type: "button", class: "primary", click: act }, label);
  const act =
    problem.status === 401
      ? button(t("Enter a key"), () => enterKey(retry))
      : problem.retriable && retry && button(t("Try again"), retry);
  return h(
    "section",
    { class: "problem card", role: "alert" },
    icon(ICONS.failed),
    h(
      "div",
      {},
      h("h1", {}, problem.title),
      name && h("p", { class: "note" }, h("bdi", {}, name)),
      problem.message && h("p", {}, problem.message),
      problem.advice && h("p", {}, problem.advice),
      h("div", { class: "actions" }, act, h("a", { class: "button", href: "#/" }, t("Choose another picture"))),
    ),
  );
}
