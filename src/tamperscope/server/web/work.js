// The pictures from this visit. A few are analysed one at a time, so that other users get their turn; many
// go to the server as jobs, which it works off in the background. What fails for a moment is tried again.

import * as api from "./api.js";
import { t } from "./language.js";
import { thumbnailOf } from "./layers.js";
import { kindOf, Problem, tooLarge } from "./problem.js";
import { remember } from "./session.js";

/** From so many pictures on, they go to the server as jobs and are shown as a table. */
export const MANY = 6;
const POLL_SECONDS = 1;
const LONGEST_WAIT_SECONDS = 30;

/**
 * Items pass through the stages `waiting`, `sending`, `analysing` and `done`, or end as `failed`. While
 * `pause` is set, nothing is sent: `{problem, until}`, with `until` in the time of `performance.now`.
 */
export class Work extends EventTarget {
  items = [];
  pause = null;
  /** The server's limits, once it has reported them. */
  limits = { file: Infinity, jobImages: 100, jobBytes: 100e6 };
  /** Seconds that a megapixel took last; null until a picture was analysed. */
  pace = null;
  #count = 0;
  #running = false;
  #control = null;
  #wake = () => {};
  #jobs = new Set();
  #previews = Promise.resolve();

  /** Add files and return their items. `change` reports each change of an item, `end` its outcome. */
  add(files, { keep = false, priv = false } = {}) {
    const added = Array.from(files, (file) => ({
      number: ++this.#count,
      file,
      name: file.name || t("Pasted picture"),
      keep,
      priv,
      stage: "waiting",
      sent: 0,
      since: 0,
      problem: null,
      summary: null,
      analysis: null,
      thumbnail: null,
      megapixels: null,
      foreign: false,
    }));
    this.items.push(...added);
    this.#drawThumbnails(added);
    this.#run();
    return added;
  }

  /** Analyse failed items again. */
  retry(items) {
    for (const item of items) {
      Object.assign(item, { stage: "waiting", problem: null, sent: 0 });
      this.#tell(item);
    }
    this.#run();
  }

  cancel(item) {
    item.abort?.();
    this.items = this.items.filter((other) => other !== item);
    this.#tell(item);
  }

  /** Cancel all that is not finished, on the server too. */
  cancelAll() {
    this.cancelJobs();
    this.#control?.abort();
    for (const item of this.unfinished) item.abort?.();
    this.items = this.items.filter(({ stage }) => stage === "done" || stage === "failed");
    this.hurry();
    this.#tell(null);
  }

  /** Stop the jobs on the server, and change nothing on the page. */
  cancelJobs() {
    for (const id of this.#jobs) api.cancelJob(id);
    this.#jobs.clear();
  }

  /** Delete the private analyses, while the page is being closed. */
  removePrivate() {
    for (const { priv, summary } of this.items) if (priv && summary) api.removeOnLeaving(summary.id);
  }

  /** End the pause now. */
  hurry() {
    this.#wake();
  }

  /** Make the server keep the picture of an item that is done. */
  async keep(item) {
    this.#finish(item, await this.#ask(item, true));
  }

  find(id) {
    return this.items.find((item) => item.summary?.id === id);
  }

  get unfinished() {
    return this.items.filter(({ stage }) => stage !== "done" && stage !== "failed");
  }

  get many() {
    return this.items.length >= MANY;
  }

  async #drawThumbnails(items) {
    // One at a time: decoding a hundred photographs at once would take gigabytes.
    for (const item of items) {
      const { thumbnail, megapixels } = await thumbnailOf(item.file);
      Object.assign(item, { thumbnail, megapixels, foreign: thumbnail === null });
      if (item.summary) this.#remember(item);
      this.#tell(item);
      this.#drawForeign(item);
    }
  }

  /** Ask the server to draw a picture that this browser cannot read, once its analysis is done. One at a time. */
  #drawForeign(item) {
    if (!item.foreign || item.stage !== "done") return;
    item.foreign = false;
    this.#previews = this.#previews.then(async () => {
      try {
        const { thumbnail } = await thumbnailOf(await api.preview(item.file));
        Object.assign(item, { thumbnail });
        this.#remember(item);
        this.#tell(item);
      } catch (error) {
        // The table shows an empty frame. A server that is busy has more important things to do.
        if (!(error instanceof Problem)) throw error;
      }
    });
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (let waiting; (waiting = this.items.filter(({ stage }) => stage === "waiting")).length;) {
      // Jobs are listed on the server, so private pictures are sent one by one.
      const chunk = this.many && !waiting[0].priv ? this.#chunk(waiting.filter(({ priv }) => !priv)) : [];
      await (chunk.length > 1 ? this.#analyseJob(chunk) : this.#analyse(waiting[0]));
    }
    this.#running = false;
  }

  async #analyse(item) {
    try {
      await this.#check(item);
      await this.#persist(async () => {
        this.#enter(item, "sending");
        const analysis = await this.#ask(item, item.keep);
        const { width, height } = analysis.image;
        this.pace = ((performance.now() - item.since) * 1e3) / (width * height);
        this.#finish(item, analysis);
      }, [item]);
    } catch (error) {
      this.#fail(item, error);
    }
  }

  /** Return as many items as fit into one job. Files that are too large are analysed, and refused, singly. */
  #chunk(waiting) {
    const chunk = [];
    let size = 0;
    for (const item of waiting) {
      size += item.file.size;
      if (item.file.size > this.limits.file || size > this.limits.jobBytes) break;
      if (chunk.push(item) >= this.limits.jobImages) break;
    }
    return chunk;
  }

  async #analyseJob(chunk) {
    const items = [];
    for (const item of chunk) {
      try {
        await this.#check(item);
        items.push(item);
      } catch (error) {
        this.#fail(item, error);
      }
    }
    if (!items.length) return;
    // A job that was sent twice, because its answer was lost, is analysed once.
    const key = api.randomKey();
    let job = null;
    try {
      job = await this.#persist(() => this.#submit(items, key), items);
      this.#jobs.add(job.id);
      for (const item of items) this.#enter(item, "analysing");
      await this.#follow(job, items);
    } catch (error) {
      for (const item of items) if (item.stage !== "done" && item.stage !== "failed") this.#fail(item, error);
    } finally {
      if (job) this.#jobs.delete(job.id);
    }
  }

  #submit(items, key) {
    for (const item of items) this.#enter(item, "sending");
    this.#control = new AbortController();
    const onSent = (share) => {
      for (const item of items) item.sent = share;
      this.#tell(items[0]);
    };
    return api.submitJob(
      items.map(({ file }) => file),
      { keep: items[0].keep, key, onSent, signal: this.#control.signal },
    );
  }

  /** Read a job's results, as they are found, until there are no more. */
  async #follow(job, items) {
    let address = `${job.links.results}?limit=100`;
    while (address && this.#jobs.has(job.id)) {
      const { results, next } = await this.#persist(() => api.jobResults(address), []);
      for (const { number, analysis, problem } of results) {
        const item = items[number];
        if (analysis) this.#finish(item, null, analysis);
        else this.#fail(item, new Problem(422, problem?.detail ?? "", { kind: kindOf(problem?.type) }));
      }
      address = next;
      if (address && !results.length) await this.#sleep(POLL_SECONDS);
    }
    const left = items.filter((item) => item.stage === "analysing" && this.items.includes(item));
    for (const item of left) this.#fail(item, new Problem(404, t("The server stopped before this picture.")));
  }

  /** Act until it succeeds or fails for good. In between, wait as long as the server asks for. */
  async #persist(act, items) {
    for (let tries = 1; ; tries++) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof Problem) || !error.passing) throw error;
        const seconds = error.wait ?? Math.min(LONGEST_WAIT_SECONDS, 2 ** tries);
        this.pause = { problem: error, until: performance.now() + 1000 * seconds };
        for (const item of items) this.#enter(item, "waiting");
        this.#tell(items[0] ?? null);
        await this.#sleep(seconds);
        this.pause = null;
        this.#tell(items[0] ?? null);
        if (items.length && !items.some((item) => this.items.includes(item)))
          throw new DOMException("", "AbortError");
      }
    }
  }

  #sleep(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #check(item) {
    if (item.file.size > this.limits.file) throw tooLarge(item.file.size, this.limits.file);
    await readable(item.file);
  }

  #ask(item, keep) {
    const control = new AbortController();
    item.abort = () => control.abort();
    const onSent = (share) => {
      if (item.stage !== "sending") return;
      item.sent = share;
      if (share === 1) this.#enter(item, "analysing");
      else this.#tell(item);
    };
    return api.analyse(item.file, { keep, priv: item.priv, onSent, signal: control.signal });
  }

  #finish(item, analysis, summary = summaryOf(analysis)) {
    Object.assign(item, { analysis, summary });
    this.#remember(item);
    this.#enter(item, "done");
    this.#tell(item, "end");
    this.#drawForeign(item);
  }

  #remember({ summary, name, thumbnail, priv }) {
    if (!priv) remember(summary.id, name, thumbnail);
  }

  #fail(item, error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    item.problem = error;
    this.#enter(item, "failed");
    this.#tell(item, "end");
  }

  #enter(item, stage) {
    Object.assign(item, { stage, since: performance.now() });
    this.#tell(item);
  }

  #tell(item, what = "change") {
    this.dispatchEvent(new CustomEvent(what, { detail: item }));
  }
}

/** Return of an analysis what a line of the history holds. */
function summaryOf(analysis) {
  const { headline, types } = analysis.words;
  return { ...analysis, headline, type_name: types[analysis.type].name };
}

/** Report a folder or a file that no longer exists, which would look like a server that does not respond. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem(400, t("This cannot be read: it is a folder, or it was moved or deleted."));
  }
}
