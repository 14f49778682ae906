// What the person writes. It stays in the box until the server says that it has it.

import { by, randomId } from "./dom.js";
import { calm, tell } from "./notice.js";
import { say } from "./words.js";

const box = by("box"), send = by("send");

export class Composer {
  // `files` is what comes with the next message. `branches` is told that the conversation is to go on from an earlier
  // one, just before the server is.
  constructor(connection, files, { taken, changed, branches, sampling }) {
    this.connection = connection;
    this.files = files;
    this.told = { taken, changed, branches };
    this.sampling = sampling;
    this.limit = Infinity;
    this.pending = null;
    this.editing = null;
    this.wanted = null; // the files that were still on their way when it was to be sent
    box.addEventListener("input", () => {
      this.wanted = null;
      this.refresh();
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.submit();
      }
    });
    by("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    addEventListener("pagehide", () => this.keep());
    this.restore();
  }

  // What is in the box, or `given` beside it.
  submit(given = null) {
    let text = given ?? box.value;
    const files = given === null ? this.files.all : [];
    if (typeof text.toWellFormed === "function") text = text.toWellFormed();
    if (this.pending || !(text.trim() || files.length)) return;
    if (files.length && this.files.busy) {
      this.wanted = this.files.ids;
      return;
    }
    const length = text.length > this.limit ? [...text].length : text.length;
    if (length > this.limit) {
      const count = (number) => number.toLocaleString(document.documentElement.lang);
      tell(say("too_long", { length: count(length), limit: count(this.limit) }));
      return;
    }
    tell("");
    const id = randomId(), sampling = this.sampling();
    this.pending = this.editing && given === null
      ? { type: "edit", id, on: this.editing, text, sampling }
      : { type: "say", id, text, files, sampling };
    this.keep();
    if (this.pending.type === "edit" && this.word === "branching") this.told.branches();
    this.transmit();
    this.refresh();
  }

  // Send what was not taken yet, also again after a lost connection: the server knows it by its id.
  transmit() {
    if (!this.pending) return;
    if (!this.connection.send(this.pending)) {
      tell(say("offline"), "calm");
      return;
    }
    this.answered?.();
    this.answered = this.connection.expectAnswer();
  }

  // The server has what was sent under `id`.
  taken(key) {
    if (!this.pending || this.pending.id !== key.split("/")[0]) return;
    const frame = this.pending;
    this.release();
    if (box.value === frame.text) box.value = "";
    if (frame.type === "edit") this.leave();
    else if (frame.files.length) this.files.clear();
    calm();
    this.told.taken(key, frame);
    this.refresh();
  }

  release() {
    this.answered?.();
    this.pending = null;
    this.keep();
  }

  // The text is the person's again, with a word of why.
  give(text) {
    if (!this.pending) return;
    this.release();
    tell(text);
    this.refresh();
    box.focus();
  }

  // A message is to be changed: its words come into the box. `word` names what the person is told of that.
  edit(key, text, word) {
    this.editing = key;
    this.word = word;
    box.value = text;
    tell(say(word), "calm");
    this.refresh();
    box.focus();
  }

  // It stays as it is.
  leave() {
    if (!this.editing) return;
    this.editing = null;
    box.value = "";
    calm();
    this.refresh();
  }

  // Send what waited for its files, if all of them have come.
  catchUp() {
    if (this.wanted === null || this.files.busy) return;
    const complete = this.wanted === this.files.ids;
    this.wanted = null;
    if (complete) this.submit();
  }

  refresh() {
    this.catchUp();
    box.readOnly = Boolean(this.pending);
    send.disabled = Boolean(this.pending) || this.files.busy || !(box.value.trim() || this.files.any);
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
    this.told.changed();
  }

  // A reload of the page loses neither what was being written nor what was being sent.
  keep() {
    try {
      sessionStorage.setItem("box", JSON.stringify({ text: box.value, pending: this.pending, editing: this.editing, word: this.word }));
    } catch {
      // The browser keeps nothing for us, or the text is larger than it takes.
    }
  }

  restore() {
    try {
      const kept = JSON.parse(sessionStorage.getItem("box") ?? "{}");
      box.value = kept.text ?? "";
      this.pending = kept.pending ?? null;
      this.editing = kept.editing ?? null;
      this.word = kept.word;
      if (this.editing) tell(say(this.word), "calm");
    } catch {
      // As above.
    }
  }
}
