// What stands under an answer: what can be pressed, and what it took.

import { button, drawing, element } from "./dom.js";
import { say } from "./words.js";

const VOTES = { up: 1, down: -1 };
const DRAWN = { regenerate: "again", continue: "onward", previous: "left", next: "right", up: "thumb", down: "thumb" };
const NAMED = new Set(["previous", "next", "up", "down"]); // their labels are signs alone

// `press` is told the action.
export function footOf(foot, press) {
  const made = element("div", "foot");
  made.setAttribute("aria-live", "off"); // it stands in the log, and is not to be read out with each answer
  for (const { action, label } of foot.buttons) {
    if (action === null) {
      made.append(element("span", "changes", label));
      continue;
    }
    const one = button("", () => {
      if (action in VOTES) mark(made, VOTES[action]);
      press(action);
    }, { label: NAMED.has(action) ? say(action) : "" });
    one.append(drawing(DRAWN[action]));
    if (!NAMED.has(action)) one.append(label.replace(/^[^\p{L}]+/u, "")); // without its sign, which is drawn
    if (!(action in VOTES)) one.classList.add("changes");
    one.dataset.action = action;
    made.append(one);
  }
  mark(made, foot.vote);
  if (foot.cost) made.append(element("span", "cost", foot.cost));
  return made;
}

function mark(foot, vote) {
  for (const [action, value] of Object.entries(VOTES)) {
    foot.querySelector(`[data-action=${action}]`)?.setAttribute("aria-pressed", String(vote === value));
  }
}
