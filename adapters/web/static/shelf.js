// The list of conversations beside the page.

import { button, by, drawing, element } from "./dom.js";
import { say } from "./words.js";

const TYPED_FOR = 150;
const list = by("chats"), search = by("search"), menu = by("menu"), really = by("really");
const narrow = matchMedia("(max-width: 860px)");

export class Shelf {
  // `open` is told which conversation to show (null: a new one), `rename`, `forget` and `find` what to ask for.
  constructor({ open, rename, forget, find }) {
    this.told = { open, rename, forget, find };
    this.items = [];
    this.current = null;
    this.renaming = null;
    this.unseen = new Set(); // conversations with an answer that nobody has looked at here
    by("new").addEventListener("click", () => {
      this.toggle(false);
      open(null);
    });
    search.addEventListener("input", () => {
      clearTimeout(this.typed);
      this.typed = setTimeout(() => find(search.value), TYPED_FOR);
    });
    menu.addEventListener("click", () => this.toggle(menu.getAttribute("aria-expanded") !== "true"));
    by("veil").addEventListener("click", () => this.toggle(false));
    by("shelf").addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.isOver) return;
      event.stopPropagation();
      this.toggle(false);
      menu.focus();
    });
    narrow.addEventListener("change", () => this.toggle(false));
    really.addEventListener("click", ({ target }) => {
      if (target.value) really.close(target.value);
    });
    this.toggle(false);
  }

  get words() {
    return search.value;
  }

  // Whether it lies over the conversation, as on a phone.
  get isOver() {
    return narrow.matches && menu.getAttribute("aria-expanded") === "true";
  }

  toggle(open) {
    menu.setAttribute("aria-expanded", String(open));
    by("shelf").classList.toggle("open", open);
    by("veil").hidden = !this.isOver;
    if (this.isOver) by("new").focus();
  }

  show(items) {
    this.items = items;
    this.draw();
  }

  mark(chat) {
    this.current = chat;
    this.unseen.delete(chat);
    this.draw();
  }

  // A reply has come to its end.
  answered(chat) {
    if (chat === this.current) return;
    this.unseen.add(chat);
    this.draw();
  }

  draw() {
    if (this.renaming) return; // it is drawn when that has ended
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.name : "";
    list.replaceChildren(...this.items.map((item) => this.item(item)));
    if (focused) [...list.querySelectorAll("[data-name]")].find((one) => one.dataset.name === focused)?.focus();
    by("none").textContent = this.items.length === 0 && search.value.trim() ? say("none") : "";
  }

  item(listing) {
    const { chat, title, excerpt } = listing;
    const made = element("li"), link = element("a");
    link.href = `#/${chat}`;
    link.append(element("span", "title", title));
    if (excerpt) link.append(element("span", "excerpt", excerpt));
    for (const part of link.children) part.dir = "auto";
    if (this.unseen.has(chat)) link.append(element("span", "unseen", say("answered")));
    if (chat === this.current) link.setAttribute("aria-current", "page");
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.toggle(false);
      this.told.open(chat);
    });
    const rename = icon("pen", "rename", title, () => this.rename(made, listing));
    const forget = icon("bin", "delete", title, () => this.ask(listing));
    for (const [name, one] of Object.entries({ link, rename, forget })) one.dataset.name = `${name} ${chat}`;
    made.append(link, rename, forget);
    return made;
  }

  rename(item, { chat, title }) {
    const input = element("input");
    input.value = title;
    input.dir = "auto";
    input.maxLength = 200;
    input.setAttribute("aria-label", say("new_title"));
    this.renaming = input;
    item.replaceChildren(input);
    input.select();
    const end = (given) => {
      if (this.renaming !== input) return;
      this.renaming = null;
      if (given && given !== title) this.told.rename(chat, given);
      this.draw();
      [...list.querySelectorAll("[data-name]")].find((one) => one.dataset.name === `link ${chat}`)?.focus();
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") end(input.value.trim());
      if (event.key === "Escape") {
        event.stopPropagation();
        end("");
      }
    });
    input.addEventListener("blur", () => end(input.value.trim()));
  }

  ask({ chat, title }) {
    really.querySelector(".title").textContent = title;
    really.returnValue = "";
    really.addEventListener("close", () => {
      if (really.returnValue === "yes") this.told.forget(chat);
    }, { once: true });
    really.showModal();
  }
}

function icon(name, word, title, press) {
  const made = button("", press, { className: "icon", label: `${say(word)}: ${title}` });
  made.append(drawing(name));
  return made;
}
