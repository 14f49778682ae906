// The panel beside the conversation: who the bot is to be, and how its answers are to be sampled.

import { by } from "./dom.js";

const panel = by("panel"), opener = by("tune"), who = by("who"), form = by("sampling");

export class Panel {
  // `persona` is told who the bot is to be from now on.
  constructor(persona) {
    opener.addEventListener("click", () => this.toggle(panel.hidden));
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.toggle(false);
      opener.focus();
    });
    by("persona").addEventListener("submit", (event) => {
      event.preventDefault();
      persona(who.value.trim());
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => this.keep());
    form.addEventListener("reset", () => setTimeout(() => this.keep()));
    try {
      const kept = JSON.parse(localStorage.getItem("sampling") ?? "{}");
      for (const [name, value] of Object.entries(kept)) form.elements[name].value = value;
    } catch {
      // The browser keeps nothing for us, or something else than we do.
    }
  }

  toggle(open) {
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) who.focus();
  }

  // Who the bot is to be, unless somebody is just changing that.
  show(persona) {
    if (document.activeElement !== who) who.value = persona;
  }

  // What goes along with a message; what is not given, or makes no sense, is as the bot is set.
  get sampling() {
    const inputs = [...form.querySelectorAll("input")].filter((one) => one.value && one.validity.valid);
    return Object.fromEntries(inputs.map((one) => [one.name, one.valueAsNumber]));
  }

  keep() {
    try {
      localStorage.setItem("sampling", JSON.stringify(this.sampling));
    } catch {
      // As above.
    }
  }
}
