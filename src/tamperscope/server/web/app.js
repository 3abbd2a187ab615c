// The page: which part of it is shown, and how pictures are added.

import * as api from "./api.js";
import { announce, bytes, h, icon, ICONS } from "./dom.js";
import { History, row } from "./history.js";
import { loadColours } from "./layers.js";
import { resultView } from "./result.js";
import { forget, key, remembered, useKey } from "./session.js";
import { Work } from "./work.js";

const at = (id) => document.getElementById(id);
const work = new Work();
const history = new History(at("history"), removeAnalysis, (problem, place) =>
  place.replaceChildren(problemCard(problem)),
);
let facts = null; // The server's description of itself.
let shown = null; // The result view on the screen.

// Adding pictures.

function take(files) {
  if (!files.length) return;
  if (facts?.keys && !key()) {
    askForKey().then((given) => given && take(files));
    return;
  }
  const [first] = work.add(files, at("keep").checked);
  location.hash = `#/pictures/${first.number}`;
}

at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", () => {
  take([...at("files").files]);
  at("files").value = "";
});
at("sample").addEventListener("click", async () => {
  const picture = await (await fetch("page/sample.jpg")).blob();
  take([new File([picture], "Sample: three clogs.jpg", { type: "image/jpeg" })]);
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));

let inside = 0; // Elements entered by a drag and not yet left: the next is entered before the last is left.
const draggingFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragenter", (event) => {
  if (!draggingFiles(event)) return;
  inside += 1;
  at("veil").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!draggingFiles(event)) return;
  inside = Math.max(0, inside - 1);
  if (!inside) at("veil").hidden = true;
});
document.addEventListener("dragover", (event) => draggingFiles(event) && event.preventDefault());
document.addEventListener("drop", (event) => {
  inside = 0;
  at("veil").hidden = true;
  if (!draggingFiles(event)) return;
  event.preventDefault();
  take([...event.dataTransfer.files]);
});

// Choosing what is shown.

function route() {
  const [, page = "", which = ""] = location.hash.split("/");
  const name = { history: "history", analyses: "work", pictures: "work" }[page] ?? "start";
  for (const section of ["start", "work", "history"]) at(section).hidden = section !== name;
  for (const link of document.querySelectorAll("[data-route]")) {
    if (link.dataset.route === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "history" ? "History – tamperscope" : "tamperscope";
  if (name !== "work") close();
  window.scrollTo(0, 0);
  if (name === "start") openStart();
  if (name === "history") history.open();
  if (page === "pictures") openItem(Number(which));
  if (page === "analyses") openAnalysis(which);
}

function close() {
  shown?.close();
  shown = null;
}

async function openStart() {
  if (facts?.keys && !key()) return;
  try {
    const { analyses } = await api.history("v1/analyses?limit=4");
    at("recent")
      .querySelector(".rows")
      .replaceChildren(...analyses.map((each) => row(each)));
    at("recent").hidden = !analyses.length;
  } catch {
    // The history page reports the problem when it is opened.
    at("recent").hidden = true;
  }
}

function openItem(number) {
  const item = work.items.find((each) => each.number === number);
  if (!item) location.replace("#/");
  else if (item.analysis) location.replace(`#/analyses/${item.analysis.id}`);
  else {
    close();
    showStrip(item);
    showProgress(item);
  }
}

async function openAnalysis(id) {
  close();
  const item = work.find(id);
  showStrip(item);
  try {
    at("current").setAttribute("aria-busy", "true");
    if (!item) at("current").replaceChildren(h("p", { class: "card" }, "Loading the analysis…"));
    const analysis = item?.analysis ?? (await api.analysis(id));
    if (location.hash !== `#/analyses/${id}`) return;
    const { name, thumbnail } = item ?? remembered(id) ?? {};
    close();
    shown = resultView({
      analysis,
      name,
      thumbnail,
      file: item?.file ?? null,
      keep: () => work.keep(item).then(() => openAnalysis(id)),
      remove: () => removeAnalysis(id),
    });
    at("current").replaceChildren(shown.element);
    document.title = `${analysis.words.headline} – tamperscope`;
    at("current").querySelector("h1").focus({ preventScroll: true });
  } catch (problem) {
    if (!(problem instanceof api.Problem)) throw problem;
    at("current").replaceChildren(problemCard(problem, () => openAnalysis(id)));
  } finally {
    at("current").removeAttribute("aria-busy");
  }
}

/** Show all pictures from this visit, if there are several. */
function showStrip(current) {
  at("strip").hidden = work.items.length < 2;
  const entries = work.items.map((item) =>
    h(
      "li",
      {},
      h(
        "a",
        {
          href: item.analysis ? `#/analyses/${item.analysis.id}` : `#/pictures/${item.number}`,
          "aria-current": item === current ? "true" : null,
          "data-verdict": item.analysis?.verdict ?? item.stage,
        },
        item.thumbnail
          ? h("img", { src: item.thumbnail, alt: "", width: 40, height: 40 })
          : h("span", { class: "blank" }, icon(ICONS.picture)),
        h("span", {}, h("bdi", {}, item.name), h("span", { class: "note" }, standing(item))),
      ),
    ),
  );
  at("strip")
    .querySelector("ol")
    .replaceChildren(...entries);
}

function standing(item) {
  if (item.analysis) return item.analysis.words.headline;
  if (item.stage === "sending") return `Sending, ${Math.round(100 * item.sent)} %`;
  return { waiting: "Waiting", analysing: "Analysing", failed: item.problem?.title }[item.stage];
}

function showProgress(item) {
  if (item.stage === "failed") {
    at("current").replaceChildren(problemCard(item.problem, () => work.retry(item), item.name));
    return;
  }
  const ahead = work.items.filter(
    (other) => other.number < item.number && !other.analysis && other.stage !== "failed",
  );
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
    "aria-label": "Sent",
    value: item.stage === "analysing" ? null : item.sent,
  });
  at("current").replaceChildren(
    h(
      "section",
      { class: "progress card" },
      item.thumbnail
        ? h("img", { src: item.thumbnail, alt: "", width: 112, height: 112 })
        : h("span", { class: "blank" }, icon(ICONS.picture)),
      h(
        "div",
        {},
        h("h1", {}, h("bdi", {}, item.name)),
        bar,
        h(
          "ol",
          {},
          step("waiting", "Waiting", item.stage === "waiting" ? `${ahead.length} ahead of it` : ""),
          step("sending", "Sending", `${Math.round(100 * item.sent)} % of ${bytes(item.file.size)}`),
          step("analysing", "Analysing", elapsed(item)),
        ),
        h("button", { type: "button", click: () => cancel(item) }, "Cancel"),
      ),
    ),
  );
}

/** Return a clock that runs in the browser, because the server does not report its progress. */
function elapsed(item) {
  return h("span", { "data-since": item.since }, `${Math.floor((performance.now() - item.since) / 1000)} s`);
}

setInterval(() => {
  for (const clock of document.querySelectorAll("[data-since]")) {
    clock.textContent = `${Math.floor((performance.now() - Number(clock.dataset.since)) / 1000)} s`;
  }
}, 500);

function cancel(item) {
  work.cancel(item);
  location.hash = "#/";
}

function problemCard(problem, retry = null, name = null) {
  const act =
    problem.status === 401
      ? h(
          "button",
          {
            type: "button",
            class: "primary",
            click: async () => (await askForKey(Boolean(key()))) && (retry ?? route)(),
          },
          "Enter a key",
        )
      : problem.passing &&
        retry &&
        h("button", { type: "button", class: "primary", click: retry }, "Try again");
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
      problem.wait && h("p", { class: "note" }, `The server suggests waiting ${problem.wait} seconds.`),
      h("div", { class: "actions" }, act, h("a", { class: "button", href: "#/" }, "Choose another picture")),
    ),
  );
}

work.addEventListener("change", ({ detail: item }) => {
  const [, page, which] = location.hash.split("/");
  const current =
    page === "pictures" ? work.items.find((each) => each.number === Number(which)) : work.find(which);
  if (page === "pictures" || page === "analyses") showStrip(current);
  if (page !== "pictures" || !current) return;
  if (current.analysis) location.replace(`#/analyses/${current.analysis.id}`);
  else if (current === item || current.stage === "waiting") showProgress(current);
});

work.addEventListener("end", ({ detail: item }) => {
  announce(`${item.name}: ${item.problem?.title ?? item.analysis.words.headline}`);
});

// Keys and confirmation.

function askForKey(refused = false) {
  const dialog = at("key-dialog");
  at("key").value = "";
  at("key-wrong").textContent = refused ? "This key is not valid on this server." : "";
  at("key-forget").hidden = !key();
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const given = at("key").value.trim();
        at("key").value = "";
        if (dialog.returnValue !== "use" || !given) return resolve(false);
        useKey(given);
        showKey();
        return resolve(true);
      },
      { once: true },
    );
  });
}

at("key-cancel").addEventListener("click", () => at("key-dialog").close());
at("key-forget").addEventListener("click", () => {
  useKey(null);
  showKey();
  at("key-dialog").close();
});
at("key-button").addEventListener("click", async () => {
  if (await askForKey()) route();
});

function showKey() {
  at("key-button").hidden = !facts?.keys;
  at("key-button").textContent = key() ? "Change key" : "Enter key";
}

async function removeAnalysis(id) {
  const dialog = at("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return;
  try {
    await api.remove(id);
  } catch (problem) {
    if (problem.status !== 404) {
      announce(`${problem.title}. ${problem.message}`);
      return;
    }
  }
  forget(id);
  work.items = work.items.filter((item) => item.analysis?.id !== id);
  announce("The analysis was deleted.");
  if (location.hash.startsWith("#/history")) history.open();
  else location.hash = "#/";
}

async function start() {
  try {
    await Promise.all([loadColours(), api.server().then((told) => (facts = told))]);
    work.limit = facts.max_bytes;
    at("limit").textContent = `, up to ${bytes(facts.max_bytes)} each`;
    at("retention").textContent = facts.retention_days ? ` for ${facts.retention_days} days` : "";
    showKey();
  } catch (problem) {
    // The page works without these facts; the next request reports what is wrong.
    announce(problem.message);
  }
  window.addEventListener("hashchange", route);
  route();
  document.body.dataset.ready = "";
}

start();
