// The pictures from this visit, analysed one at a time so that other users get their turn.

import * as api from "./api.js";
import { bytes } from "./dom.js";
import { thumbnailOf } from "./layers.js";
import { remember } from "./session.js";

/** Items pass through the stages `waiting`, `sending`, `analysing` and `done`, or end as `failed`. */
export class Work extends EventTarget {
  items = [];
  /** Maximum size of a file in bytes, once the server has reported it. */
  limit = Infinity;
  #count = 0;
  #running = false;

  /** Add files and return their items. `change` reports each change of an item, `end` its outcome. */
  add(files, keep) {
    const added = Array.from(files, (file) => ({
      number: ++this.#count,
      file,
      name: file.name || "Pasted picture",
      keep,
      stage: "waiting",
      sent: 0,
      since: 0,
      problem: null,
      analysis: null,
      thumbnail: null,
    }));
    this.items.push(...added);
    for (const item of added) {
      thumbnailOf(item.file).then((thumbnail) => {
        item.thumbnail = thumbnail;
        if (item.analysis) remember(item.analysis.id, item.name, thumbnail);
        this.#tell(item);
      });
    }
    this.#run();
    return added;
  }

  retry(item) {
    Object.assign(item, { stage: "waiting", problem: null, sent: 0 });
    this.#tell(item);
    this.#run();
  }

  cancel(item) {
    item.abort?.();
    this.items = this.items.filter((other) => other !== item);
    this.#tell(item);
  }

  /** Make the server keep the picture of an item that is done. */
  async keep(item) {
    item.analysis = await this.#ask(item, true);
    this.#tell(item);
  }

  find(id) {
    return this.items.find((item) => item.analysis?.id === id);
  }

  async #run() {
    if (this.#running) return;
    this.#running = true;
    for (let item; (item = this.items.find((each) => each.stage === "waiting"));) await this.#analyse(item);
    this.#running = false;
  }

  async #analyse(item) {
    this.#enter(item, "sending");
    try {
      if (item.file.size > this.limit) {
        const sizes = `The file is ${bytes(item.file.size)}; this server accepts up to ${bytes(this.limit)}.`;
        throw new api.Problem(413, sizes);
      }
      await readable(item.file);
      item.analysis = await this.#ask(item, item.keep);
      remember(item.analysis.id, item.name, item.thumbnail);
      this.#enter(item, "done");
      this.#tell(item, "end");
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof api.Problem)) throw error;
      item.problem = error;
      this.#enter(item, "failed");
      this.#tell(item, "end");
    }
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
    return api.analyse(item.file, { keep, onSent, signal: control.signal });
  }

  #enter(item, stage) {
    Object.assign(item, { stage, since: performance.now() });
    this.#tell(item);
  }

  #tell(item, what = "change") {
    this.dispatchEvent(new CustomEvent(what, { detail: item }));
  }
}

/** Report a folder or a file that no longer exists, which would look like a server that does not respond. */
async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw new api.Problem(400, "This cannot be read: it is a folder, or it was moved or deleted.");
  }
}
