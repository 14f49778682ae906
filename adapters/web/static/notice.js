// A word to the person above the box.

import { by, element } from "./dom.js";

const MENTIONED_FOR = 6_000;
const notice = by("notice");

export function tell(text, kind = "bad") {
  notice.replaceChildren(element("span", "", text));
  notice.dataset.kind = kind;
  notice.hidden = !text;
}

// A word that nobody need answer goes by itself.
export function mention(text) {
  tell(text, "calm");
  setTimeout(() => { if (told() === text) tell(""); }, MENTIONED_FOR);
}

export const told = () => (notice.hidden ? "" : notice.textContent);

export function calm() {
  if (notice.dataset.kind === "calm") tell("");
}
