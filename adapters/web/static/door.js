// Asks for a key where one is needed.

import { by } from "./dom.js";

const door = by("door");

export class Door {
  // `opened` is told when a key was taken.
  constructor(opened) {
    const form = door.querySelector("form"), input = door.querySelector("[type=password]");
    door.addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it yet
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const refusal = door.querySelector(".refusal");
      refusal.textContent = "";
      const answer = await fetch("key", { method: "POST", body: input.value.trim() }).catch(() => null);
      if (!answer?.ok) {
        refusal.textContent = answer ? await answer.text() : "…";
        input.select();
        return;
      }
      input.value = "";
      door.close();
      opened();
    });
  }

  shut(why) {
    if (why) door.querySelector(".why").textContent = why;
    if (!door.open) door.showModal();
  }
}
