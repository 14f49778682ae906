// What comes with the next message: picked, dropped or pasted, and uploaded at once.

import { button, by, element, randomId } from "./dom.js";
import { tell } from "./notice.js";
import { say } from "./words.js";

const MOST = 10;
const list = by("files"), picker = by("picker"), overlay = by("drop");

export class Files {
  constructor(changed) {
    this.changed = changed;
    this.limit = 0;
    this.held = new Map();
    by("attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.add(picker.files);
      picker.value = "";
    });
    by("box").addEventListener("paste", (event) => {
      if (event.clipboardData.files.length && this.add(event.clipboardData.files)) event.preventDefault();
    });
    addEventListener("dragover", (event) => {
      if (!this.limit || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      overlay.hidden = false;
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) overlay.hidden = true; });
    addEventListener("drop", (event) => {
      overlay.hidden = true;
      if (!event.dataTransfer.files.length) return;
      event.preventDefault(); // else the browser leaves the page for the file
      this.add(event.dataTransfer.files);
    });
  }

  // The most bytes that one may have; 0: none are taken.
  allow(limit) {
    this.limit = limit;
    by("attach").hidden = !limit;
  }

  get any() {
    return this.held.size > 0;
  }

  get busy() {
    return [...this.held.values()].some((file) => file.sending);
  }

  get all() {
    return [...this.held.values()].map(({ id, name, type }) => ({ id, name, type }));
  }

  get ids() {
    return [...this.held.keys()].join();
  }

  add(files) {
    if (!this.limit) return false;
    for (const file of files) {
      const name = file.name.slice(0, 255);
      if (this.held.size >= MOST) tell(say("too_many_files"));
      else if (file.size > this.limit) tell(say("too_large", { name, limit: this.limit / 1e6 }));
      else this.upload(file, { id: randomId(), name, type: file.type.slice(0, 100), sending: new AbortController() });
    }
    return true;
  }

  async upload(file, one) {
    this.held.set(one.id, one);
    this.show();
    try {
      const answer = await fetch(`files/${one.id}`, { method: "PUT", body: file, signal: one.sending.signal });
      if (!answer.ok) throw new Error(answer.status);
    } catch {
      if (this.held.delete(one.id)) tell(say("not_uploaded", { name: one.name }));
    }
    one.sending = null;
    this.show();
  }

  remove(one) {
    this.held.delete(one.id);
    one.sending?.abort();
    this.show();
  }

  clear() {
    this.held.clear();
    this.show();
  }

  show() {
    list.replaceChildren(...[...this.held.values()].map((one) => {
      const item = element("li", one.sending ? "sending" : "");
      item.append(element("span", "name", one.name));
      if (one.sending) item.setAttribute("aria-label", say("uploading", { name: one.name }));
      item.append(button("×", () => this.remove(one), { label: say("remove", { name: one.name }) }));
      return item;
    }));
    list.hidden = !this.any;
    this.changed();
  }
}
