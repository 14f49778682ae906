// The page: draws what the server says and sends what the person writes. It renders no Markdown and trusts no text:
// what people wrote is put in as text, and the HTML of an answer has been sanitised by the server.
"use strict";

const SLOWEST_RETRY = 15_000;
const ANSWER_WITHIN = 10_000;

const by = (id) => document.getElementById(id);
const view = by("view"), log = by("log"), box = by("box"), send = by("send"), stop = by("stop"), notice = by("notice");

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// One message and its answer. `key` is the id that the message was sent under, "/" and its kind if it is a command.
class Exchange {
  constructor(key) {
    this.key = key;
    this.open = false;
    this.element = element("section", "exchange");
    this.element.dataset.key = key;
  }

  say(text) {
    if (this.said) return;
    this.said = element("div", this.key.includes("/") ? "said command" : "said", text);
    this.said.dir = "auto";
    this.element.prepend(this.said);
  }

  reply() {
    if (!this.answer) {
      this.row = element("div", "reply");
      this.answer = element("div", "answer");
      const mark = document.querySelector(".mark").cloneNode(true);
      this.row.append(mark, this.answer);
      this.element.append(this.row);
    }
    return this.answer;
  }

  think() {
    this.open = true;
    if (this.answer) return;
    const dots = element("div", "thinking");
    dots.setAttribute("aria-label", "Thinking");
    dots.append(element("i"), element("i"), element("i"));
    this.reply().append(dots);
    this.row.setAttribute("aria-busy", "true");
  }

  // The first `keep` blocks stay as they are, and with them what the person has selected in them.
  draw(keep, blocks, final) {
    const answer = this.reply();
    answer.querySelector(".thinking, .lost")?.remove();
    while (answer.children.length > keep) answer.lastElementChild.remove();
    for (const html of blocks) {
      const block = element("div", "block");
      block.innerHTML = html;
      for (const language of block.querySelectorAll(".language")) language.append(copyButton());
      answer.append(block);
    }
    this.open = !final;
    this.row.classList.toggle("writing", !final);
    this.row.setAttribute("aria-busy", String(!final)); // read out when it is whole, not word by word
  }

  lose() {
    this.open = false;
    if (this.answer?.querySelector(".block")) return this.row.classList.remove("writing");
    this.reply().replaceChildren(element("p", "lost", "The answer did not reach this page."));
    this.row.removeAttribute("aria-busy");
  }
}

function copyButton() {
  const button = element("button", "copy", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", async () => {
    const code = button.closest(".code").querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(code);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  return button;
}

// What stands on the page.

const exchanges = new Map();
let sticking = true;

function exchange(key) {
  let found = exchanges.get(key);
  if (!found) {
    found = new Exchange(key);
    exchanges.set(key, found);
    log.append(found.element);
  }
  return found;
}

function remove(found) {
  exchanges.delete(found.key);
  found.element.remove();
}

// The whole history, as it stands in memory. What stood on the page and is not in there (what /help said) stays.
function showHistory(lines) {
  const before = [...exchanges.values()];
  const held = new Set(lines.map((line) => line.key));
  exchanges.clear();
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
      exchanges.set(old.key, old);
      log.append(old.element);
      if (old.open) old.lose();
    }
  };
  put(null);
  let last = null;
  for (const line of lines) {
    if (last !== null && line.key !== last) put(last);
    last = line.key;
    const one = exchange(line.key);
    if (line.role === "assistant") one.draw(0, line.blocks, true);
    else one.say(line.text);
    if (line.waiting) one.think();
  }
  if (last !== null) put(last);
}

function forgetBefore(key) {
  for (const one of [...exchanges.values()]) {
    if (one.key === key) return;
    remove(one);
  }
}

function settle() {
  const writing = [...exchanges.values()].some((one) => one.open);
  stop.hidden = !writing;
  by("welcome").hidden = !shown || exchanges.size > 0;
  if (sticking) view.scrollTop = view.scrollHeight;
  by("newest").hidden = sticking;
}

view.addEventListener("scroll", () => {
  sticking = view.scrollHeight - view.scrollTop - view.clientHeight < 60;
  by("newest").hidden = sticking;
}, { passive: true });

by("newest").addEventListener("click", () => {
  sticking = true;
  settle();
});

function tell(text, kind = "bad") {
  notice.replaceChildren(element("span", "", text));
  notice.dataset.kind = kind;
  notice.hidden = !text;
}

// The connection. It comes back by itself, waiting longer each time, and asks again for what was under way.

let socket = null, shown = false, connected = false, failures = 0, retry = 0, limit = Infinity, troubled = "";

function state(name, text) {
  by("connection").dataset.state = name;
  by("connection").textContent = text;
}

function connect() {
  clearTimeout(retry);
  if (socket) return;
  if (failures === 0) state("connecting", "Connecting");
  const mine = socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/chat`);
  const opening = setTimeout(() => leave(mine, 1006), ANSWER_WITHIN);
  mine.addEventListener("message", (event) => {
    clearTimeout(opening);
    if (mine === socket) receive(JSON.parse(event.data));
  });
  mine.addEventListener("close", (event) => {
    clearTimeout(opening);
    leave(mine, event.code);
  });
}

function leave(which, code) {
  if (which !== socket) return;
  socket = null;
  connected = false;
  which.close();
  if (code === 1009) give("This message is too long for me. It is still in the box: please shorten it.");
  failures += 1;
  state("away", failures === 1 ? "Reconnecting" : "No connection, trying again");
  const wait = Math.min(SLOWEST_RETRY, 400 * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
  retry = setTimeout(connect, wait);
}

addEventListener("online", connect);
document.addEventListener("visibilitychange", () => { if (!document.hidden) connect(); });

function receive(frame) {
  if (frame.type === "history") {
    limit = frame.limit;
    showHistory(frame.lines);
    shown = true;
    if (!connected) {
      connected = true;
      failures = 0;
      state("connected", "Connected");
      if (troubled && notice.textContent === troubled) tell("");
      troubled = "";
      transmit();
    }
  } else if (frame.type === "taken") {
    taken(frame.key);
  } else if (frame.type === "refused") {
    if (pending?.id === frame.id) give(frame.text);
    else tell(frame.text);
  } else if (frame.type === "drawn") {
    taken(frame.key);
    const one = exchange(frame.key);
    one.draw(frame.keep, frame.blocks, frame.final);
    if (frame.final && frame.key.endsWith("/reset")) forgetBefore(frame.key);
  } else if (frame.type === "trouble") {
    troubled = frame.text;
    if (pending && connected) give(frame.text);
    else tell(frame.text);
  }
  settle();
}

// What the person writes. It stays in the box until the server says that it has it.

let pending = null, overdue = 0;

function submit() {
  const text = typeof box.value.toWellFormed === "function" ? box.value.toWellFormed() : box.value;
  if (pending || !text.trim()) return;
  const length = text.length > limit ? [...text].length : text.length;
  if (length > limit) {
    const count = (number) => number.toLocaleString("en");
    tell(`This message has ${count(length)} characters, and I can take ${count(limit)} at once. `
      + "It is still in the box: please shorten it or send it in pieces.");
    return;
  }
  tell("");
  pending = { id: crypto.randomUUID?.() ?? randomId(), text };
  sticking = true;
  keep();
  transmit();
  refresh();
}

// crypto.randomUUID is there only on https and localhost.
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function transmit() {
  if (!pending) return;
  if (!connected) {
    tell("There is no connection right now. Your message is sent as soon as there is one; Escape takes it back.", "calm");
    return;
  }
  const mine = socket;
  mine.send(JSON.stringify({ type: "say", id: pending.id, text: pending.text }));
  clearTimeout(overdue);
  overdue = setTimeout(() => leave(mine, 1006), ANSWER_WITHIN); // a dead connection is not always noticed
}

function taken(key) {
  const [id, kind] = key.split("/");
  if (pending?.id !== id) return;
  const { text } = pending;
  release();
  if (box.value === text) box.value = "";
  if (notice.dataset.kind === "calm") tell("");
  if (kind !== "stop") {
    const one = exchange(key);
    one.say(text.trim());
    if (!one.answer) one.think();
  }
  refresh();
}

function release() {
  clearTimeout(overdue);
  pending = null;
  keep();
}

// The text is the person's again, with a word of why.
function give(text) {
  release();
  tell(text);
  refresh();
  box.focus();
}

function halt() {
  if (pending && !connected) {
    give("");
  } else if (connected && !stop.hidden) {
    socket.send(JSON.stringify({ type: "stop", id: crypto.randomUUID?.() ?? randomId() }));
  }
}

function refresh() {
  box.readOnly = Boolean(pending);
  send.disabled = Boolean(pending) || !box.value.trim();
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
  settle();
}

// A reload of the page loses neither what was being written nor what was being sent.
function keep() {
  try {
    sessionStorage.setItem("box", JSON.stringify({ text: box.value, pending }));
  } catch {
    // The browser keeps nothing for us, or the text is larger than it takes.
  }
}

function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem("box") ?? "{}");
    box.value = kept.text ?? "";
    pending = kept.pending ?? null;
  } catch {
    // As above.
  }
}

addEventListener("pagehide", keep);
box.addEventListener("input", refresh);
by("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  }
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) halt();
});
stop.addEventListener("click", () => {
  halt();
  box.focus();
});
by("welcome").addEventListener("click", (event) => {
  const { text } = event.target.dataset;
  if (!text || pending) return;
  box.value = text;
  submit();
  box.focus();
});

restore();
refresh();
connect();
