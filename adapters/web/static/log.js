// The exchanges that stand on the page, and how far it is scrolled.

import { by } from "./dom.js";
import { Exchange } from "./exchange.js";

const view = by("view"), log = by("log");
const NEAR = 60;

export class Log {
  // `told` as for an exchange.
  constructor(told) {
    this.told = told;
    this.exchanges = new Map();
    this.shown = false;
    this.sticking = true;
    view.addEventListener("scroll", () => {
      this.sticking = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR;
      by("newest").hidden = this.sticking;
    }, { passive: true });
    by("newest").addEventListener("click", () => {
      this.sticking = true;
      this.settle();
    });
  }

  get isWriting() {
    return [...this.exchanges.values()].some((one) => one.open);
  }

  exchange(key) {
    let found = this.exchanges.get(key);
    if (!found) {
      found = new Exchange(key, this.told);
      this.exchanges.set(key, found);
      log.append(found.element);
    }
    return found;
  }

  // Another conversation comes.
  clear() {
    this.exchanges.clear();
    log.replaceChildren();
    this.shown = false;
    this.sticking = true;
  }

  // The whole history, as it stands in memory. What stood on the page and was never in there (what /help said) stays.
  // With `only` what was said besides is forgotten.
  show(lines, only = false) {
    const before = this.staying(lines, only);
    const held = new Set(lines.map((line) => line.key));
    this.exchanges.clear();
    log.replaceChildren();
    let above = null;
    const kept = before.flatMap((old) => {
      if (!held.has(old.key)) return [{ old, above }];
      above = old.key;
      return [];
    });
    const put = (at) => {
      for (const { old, above } of kept) {
        if (above !== at) continue;
        this.exchanges.set(old.key, old);
        log.append(old.element);
        if (old.open) old.lose();
      }
    };
    put(null);
    let last = null;
    for (const line of lines) {
      if (last !== null && line.key !== last) put(last);
      last = line.key;
      const one = this.exchange(line.key);
      if (line.role === "assistant") one.draw(line);
      else one.say(line.text, line.files);
      if (line.waiting) one.think();
    }
    if (last !== null) put(last);
    this.shown = true;
  }

  // What of the page is still to be seen. While it was away the conversation may have gone on from an earlier message
  // on another page, or been forgotten: what memory has no more goes, and each message after it or after one that
  // reads otherwise now. What is older than the history's first line may only be out of its reach.
  staying(lines, only) {
    const before = [...this.exchanges.values()], held = new Set(lines.map((line) => line.key));
    const words = new Map(lines.filter((line) => line.role === "user").map((line) => [line.key, line.text.trim()]));
    const reach = before.findIndex((one) => held.has(one.key));
    let left = only;
    return before.filter((one, number) => {
      if (held.has(one.key)) {
        left ||= words.has(one.key) && words.get(one.key) !== one.text.trim();
        return true;
      }
      left ||= one.remembered && number > reach;
      return one.isCommand || !left;
    });
  }

  forgetBefore(key) {
    for (const one of [...this.exchanges.values()]) {
      if (one.key === key) return;
      this.exchanges.delete(one.key);
      one.element.remove();
    }
  }

  // The conversation goes on from there. What came after it is out of sight until the server says so, too.
  branch(key) {
    let after = false;
    for (const one of this.exchanges.values()) {
      one.element.hidden = after;
      after ||= one.key === key;
    }
  }

  // It does not.
  unite() {
    for (const one of this.exchanges.values()) one.element.hidden = false;
  }

  // Only the last answer can be changed.
  settle() {
    const messages = [...this.exchanges.values()].filter((one) => !one.isCommand && !one.element.hidden);
    messages.forEach((one, number) => one.changeable(number === messages.length - 1));
    by("welcome").hidden = !this.shown || this.exchanges.size > 0;
    if (this.sticking) view.scrollTop = view.scrollHeight;
    by("newest").hidden = this.sticking;
  }
}
