// The page: which part of it is shown, and how pictures are added.

import * as api from "./api.js";
import { Batch, tableLink } from "./batch.js";
import { problemCard, progressCard, strip } from "./cards.js";
import { comparison } from "./compare.js";
import { announce, h, seconds, wholeBytes } from "./dom.js";
import { History, row } from "./history.js";
import { choose, language, t, tn } from "./language.js";
import { loadColours } from "./layers.js";
import { Problem } from "./problem.js";
import { resultView } from "./result.js";
import { forget, key, remembered, useKey } from "./session.js";
import { MANY, Work } from "./work.js";

const at = (id) => document.getElementById(id);
const work = new Work();
const history = new History(at("history"), removeAnalysis, (problem, place) =>
  place.replaceChildren(reported(problem)),
);
const batch = new Batch(at("batch"), work);
let facts = null; // The server's description of itself.
let shown = null; // The result view on the screen.

// Adding pictures.

function take(files) {
  if (!files.length) return;
  if (facts?.keys && !key()) {
    askForKey().then((given) => given && take(files));
    return;
  }
  const [first] = work.add(files, { keep: at("keep").checked, priv: at("private").checked });
  location.hash = files.length >= MANY ? "#/table" : `#/pictures/${first.number}`;
}

// A private analysis keeps nothing, so the two exclude each other.
for (const [one, other] of [
  ["keep", "private"],
  ["private", "keep"],
])
  at(one).addEventListener("change", () => at(one).checked && (at(other).checked = false));

at("choose").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", () => {
  take([...at("files").files]);
  at("files").value = "";
});
at("sample").addEventListener("click", async () => {
  const picture = await (await fetch("page/sample.jpg")).blob();
  take([new File([picture], `${t("Sample: three clogs")}.jpg`, { type: "image/jpeg" })]);
});
document.addEventListener("paste", (event) => {
  if (event.target.closest?.("input, textarea")) return;
  take([...event.clipboardData.files]);
  if (/^\s*https?:/.test(event.clipboardData.getData("text"))) explainLinks();
});

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
// Of everything that is dropped: a browser would open a link in place of this page.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  inside = 0;
  at("veil").hidden = true;
  event.preventDefault();
  if (draggingFiles(event)) take([...event.dataTransfer.files]);
  else explainLinks();
});

function explainLinks() {
  at("links").hidden = false;
  announce(at("links").textContent);
}

at("help-button").addEventListener("click", () => at("help").showModal());
document.addEventListener("keydown", (event) => {
  if (event.key !== "?" || event.target.closest?.("input, textarea, select, dialog")) return;
  event.preventDefault();
  at("help").showModal();
});

// Choosing what is shown.

const PLACES = { history: "history", analyses: "work", pictures: "work", compare: "work", table: "batch" };

function route() {
  const [, page = "", which = "", other = ""] = location.hash.split("/");
  const name = PLACES[page] ?? "start";
  for (const section of ["start", "work", "batch", "history"]) at(section).hidden = section !== name;
  for (const link of document.querySelectorAll("[data-route]")) {
    if (link.dataset.route === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "history" ? t("History – tamperscope") : "tamperscope";
  if (name !== "work") close();
  window.scrollTo(0, 0);
  if (name === "start") openStart();
  if (name === "history") history.open();
  if (name === "batch") batch.open();
  if (page === "pictures") openItem(Number(which));
  if (page === "analyses") openAnalysis(which);
  if (page === "compare") openComparison(which, other);
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
  else if (item.summary) location.replace(`#/analyses/${item.summary.id}`);
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
    if (!item) at("current").replaceChildren(h("p", { class: "card" }, t("Loading the analysis…")));
    const analysis = item?.analysis ?? (await api.analysis(id));
    if (location.hash !== `#/analyses/${id}`) return;
    const { name, thumbnail } = item ?? remembered(id) ?? {};
    close();
    shown = resultView({
      analysis,
      name,
      thumbnail,
      file: item?.file ?? null,
      listedFor: facts?.keys ? "key" : "all",
      signed: facts?.signs_reports,
      keep: () => work.keep(item).then(() => openAnalysis(id)),
      remove: () => removeAnalysis(id),
    });
    at("current").replaceChildren(shown.element);
    document.title = `${analysis.words.headline} – tamperscope`;
    at("current").querySelector("h1").focus({ preventScroll: true });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    at("current").replaceChildren(reported(problem, () => openAnalysis(id)));
  } finally {
    at("current").removeAttribute("aria-busy");
  }
}

async function openComparison(...ids) {
  close();
  at("strip").hidden = true;
  const here = location.hash;
  try {
    at("current").replaceChildren(h("p", { class: "card" }, t("Loading the analyses…")));
    const analyses = await Promise.all(ids.map((id) => work.find(id)?.analysis ?? api.analysis(id)));
    if (location.hash !== here) return;
    shown = comparison(analyses, ids.map((id) => work.find(id)?.file ?? null));
    at("current").replaceChildren(shown.element);
    at("current").querySelector("h1").focus({ preventScroll: true });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    at("current").replaceChildren(reported(problem, () => openComparison(...ids)));
  }
}

/** Show all pictures from this visit: a few side by side, many behind a link to their table. */
function showStrip(current) {
  at("strip").hidden = work.items.length < 2;
  at("strip").replaceChildren(work.many ? tableLink(work) : strip(work.items, current));
}

function showProgress(item) {
  at("current").replaceChildren(
    item.stage === "failed"
      ? problemCard(item.problem, { retry: () => work.retry([item]), enterKey, name: item.name })
      : progressCard(item, work, () => {
          work.cancel(item);
          location.hash = "#/";
        }),
  );
}

/** Ask for a key after one was missing or refused, then act again. */
async function enterKey(retry) {
  if (await askForKey(Boolean(key()))) (retry ?? route)();
}

function reported(problem, retry = null) {
  return problemCard(problem, { retry, enterKey });
}

work.addEventListener("change", ({ detail: item }) => {
  const [, page, which] = location.hash.split("/");
  if (page === "table") batch.update();
  const current =
    page === "pictures" ? work.items.find((each) => each.number === Number(which)) : work.find(which);
  if (page === "pictures" || page === "analyses") showStrip(current);
  if (page !== "pictures" || !current) return;
  if (current.summary) location.replace(`#/analyses/${current.summary.id}`);
  else if (!item || current === item || current.stage === "waiting") showProgress(current);
});

work.addEventListener("end", ({ detail: item }) => {
  if (work.many) {
    const left = work.unfinished.length;
    if (!left) announce(t("All {count} pictures are finished.", { count: work.items.length }));
  } else announce(`${item.name}: ${item.problem?.title ?? item.summary.headline}`);
});

// A reader who leaves has no use for what is not analysed yet.
window.addEventListener("beforeunload", (event) => work.unfinished.length && event.preventDefault());
window.addEventListener("pagehide", () => {
  work.cancelJobs();
  work.removePrivate();
});

setInterval(() => {
  for (const clock of document.querySelectorAll("[data-since]")) {
    clock.textContent = seconds(Math.floor((performance.now() - Number(clock.dataset.since)) / 1000));
  }
  for (const clock of document.querySelectorAll("[data-until]")) {
    const left = Math.ceil((Number(clock.dataset.until) - performance.now()) / 1000);
    clock.textContent = seconds(Math.max(0, left));
  }
}, 500);

at("language").value = language;
at("language").addEventListener("change", (event) => choose(event.target.value));

// Keys and confirmation.

function askForKey(refused = false) {
  const dialog = at("key-dialog");
  at("key").value = "";
  at("key-wrong").textContent = refused ? t("This key is not valid on this server.") : "";
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
  at("key-button").textContent = key() ? t("Change key") : t("Enter key");
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
  work.items = work.items.filter((item) => item.summary?.id !== id);
  announce(t("The analysis was deleted."));
  if (location.hash.startsWith("#/history")) history.open();
  else location.hash = "#/";
}

/** Say that the server still loads its model, until it is ready. What is added meanwhile waits. */
async function awaitReady() {
  while (!(await api.ready())) {
    at("starting").hidden = false;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  at("starting").hidden = true;
  if (work.pause?.problem.kind === "not-ready") work.hurry();
}

async function start() {
  try {
    await Promise.all([loadColours(), api.server().then((told) => (facts = told))]);
    work.limits = {
      file: facts.max_bytes,
      jobImages: Math.min(100, facts.max_job_images),
      jobBytes: Math.min(100e6, facts.max_job_bytes),
    };
    at("formats").textContent = t("JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF, up to {size} each", {
      size: wholeBytes(facts.max_bytes),
    });
    if (facts.retention_days)
      at("retention").textContent = tn(
        facts.retention_days,
        "The findings stay for one day, and you can delete them.",
        "The findings stay for {count} days, and you can delete them.",
      );
    for (const told of document.querySelectorAll("[data-keyless]")) told.hidden = facts.keys;
    showKey();
  } catch (problem) {
    // The page works without these facts; the next request reports what is wrong.
    announce(problem.message);
  }
  window.addEventListener("hashchange", route);
  route();
  document.body.dataset.ready = "";
  awaitReady();
}

start();
