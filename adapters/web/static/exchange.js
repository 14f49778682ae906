// One message and its answer. It renders no Markdown and trusts no text: what people wrote is put in as text, and the
// HTML of an answer has been sanitised by the server.

import { button, drawing, element } from "./dom.js";
import { footOf } from "./foot.js";
import { say } from "./words.js";

export class Exchange {
  // `key` is the id that the message was sent under, "/" and its kind if it is a command. `press` and `edit` are told
  // what somebody does with it.
  constructor(key, { press, edit }) {
    this.key = key;
    this.open = false;
    this.remembered = false; // its answer stands, or stood, in memory: only such a one has something under it
    this.told = { press, edit };
    this.element = element("section", "exchange");
    this.element.dataset.key = key;
  }

  get isCommand() {
    return this.key.includes("/");
  }

  get text() {
    return this.said?.querySelector(".words").textContent ?? "";
  }

  say(text, files = []) {
    if (this.said) return;
    this.said = element("div", this.isCommand ? "said command" : "said");
    this.said.dir = "auto";
    this.said.append(element("span", "words", text));
    for (const name of files) this.said.append(element("span", "file", name));
    this.element.prepend(this.said);
    if (!this.isCommand) {
      const edit = button("", () => this.told.edit(this), { className: "edit", label: say("edit") });
      edit.append(drawing("pen"));
      this.said.after(edit);
    }
  }

  reword(text) {
    if (this.said) this.said.querySelector(".words").textContent = text;
  }

  // Nothing was done with it after all.
  restore() {
    if (!this.before) return;
    this.reword(this.before.text);
    this.open = false;
    this.begin();
    this.under(this.before.foot);
    this.row.classList.remove("writing");
    this.row.setAttribute("aria-busy", "false");
  }

  reply() {
    if (!this.answer) {
      this.row = element("div", "reply");
      this.answer = element("div", "answer");
      this.row.append(drawing("mark", "mark"), this.answer);
      this.element.append(this.row);
    }
    return this.answer;
  }

  think() {
    this.open = true;
    if (this.answer) {
      this.before = { text: this.text, foot: this.standing };
      this.under(null);
      this.row.classList.add("writing");
    } else {
      const dots = element("div", "thinking");
      dots.setAttribute("role", "img");
      dots.setAttribute("aria-label", say("thinking"));
      dots.append(element("i"), element("i"), element("i"));
      this.reply().append(dots);
    }
    this.row.setAttribute("aria-busy", "true");
  }

  // What the answer waits for.
  wait(text) {
    if (!this.open) return;
    if (!this.line) {
      this.line = element("p", "line");
      this.row.append(this.line);
    }
    this.line.textContent = text;
  }

  begin() {
    this.line?.remove();
    this.line = null;
  }

  // The first `keep` blocks stay as they are, and with them what the person has selected in them.
  draw({ keep = 0, blocks, final = true, foot = null }) {
    const answer = this.reply();
    this.begin();
    answer.querySelector(".thinking, .lost")?.remove();
    while (answer.children.length > keep) answer.lastElementChild.remove();
    for (const html of blocks) {
      const block = element("div", "block");
      block.innerHTML = html;
      for (const language of block.querySelectorAll(".language")) language.append(copyButton());
      answer.append(block);
    }
    this.open = !final;
    this.before = null;
    this.under(foot);
    this.row.classList.toggle("writing", !final);
    this.row.setAttribute("aria-busy", String(!final)); // read out when it is whole, not word by word
  }

  // Who pressed something under the answer finds the focus there again.
  under(foot) {
    const pressed = this.foot?.contains(document.activeElement) ? document.activeElement.dataset.action : this.pressed;
    this.foot?.remove();
    this.standing = foot;
    this.remembered ||= foot !== null;
    this.foot = foot && footOf(foot, (action) => this.told.press(this, action));
    this.pressed = foot ? null : pressed;
    if (!this.foot) return;
    this.answer.after(this.foot);
    if (pressed && document.activeElement === document.body) {
      this.foot.querySelector(`[data-action=${pressed}]`)?.focus();
    }
  }

  // Whether it is the newest, of which alone the answer can be changed.
  changeable(can) {
    this.element.classList.toggle("newest", can);
  }

  get isNewest() {
    return this.element.classList.contains("newest");
  }

  lose() {
    this.open = false;
    this.begin();
    if (this.answer?.querySelector(".block")) return this.row.classList.remove("writing");
    this.reply().replaceChildren(element("p", "lost", say("lost")));
    this.row.removeAttribute("aria-busy");
  }
}

function copyButton() {
  const copy = button(say("copy"), async () => {
    const code = copy.closest(".code").querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(code);
      copy.textContent = say("copied");
    } catch {
      copy.textContent = say("not_allowed");
    }
    setTimeout(() => { copy.textContent = say("copy"); }, 1500);
  }, { className: "copy", label: say("copy_code") });
  return copy;
}
