// The page: what comes from the server goes to its parts, and what the person does goes to the server.

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Door } from "./door.js";
import { by, randomId } from "./dom.js";
import { Files } from "./files.js";
import { Log } from "./log.js";
import { mention, tell, told } from "./notice.js";
import { Panel } from "./panel.js";
import { Shelf } from "./shelf.js";
import { say } from "./words.js";

let troubled = "";
const doomed = new Set(); // conversations that are to be forgotten as soon as there is a connection

const connection = new Connection({
  receive,
  tooLarge: () => composer.give(say("far_too_long")),
  locked,
});
const log = new Log({
  press: (exchange, action) => connection.send({ type: "act", id: randomId(), on: exchange.key, action, sampling: panel.sampling }),
  edit: (exchange) => composer.edit(exchange.key, exchange.text, exchange.isNewest ? "editing" : "branching"),
});
const files = new Files(() => composer.refresh());
const panel = new Panel((persona) => composer.submit(`/persona ${persona}`));
const composer = new Composer(connection, files, {
  taken,
  changed: settle,
  branches: () => { if (log.isWriting) stop(); }, // what is being written is left behind
  sampling: () => panel.sampling,
});
const shelf = new Shelf({
  open: (chat) => go(chat ?? randomId()),
  rename: (chat, title) => connection.send({ type: "rename", chat, title }),
  forget: (chat) => {
    doomed.add(chat);
    if (chat === connection.chat) go(randomId()); // and then
    else forget();
  },
  find: (text) => connection.send({ type: "find", text }),
});
const door = new Door(() => connection.connect());

// Frames from the server.

function receive(frame) {
  switch (frame.type) {
    case "history": return history(frame);
    case "chats": return frame.text === shelf.words && shelf.show(frame.items);
    case "pong": return;
    case "news": news(frame); break;
    case "taken": return taken(frame.key);
    case "refused": refused(frame); break;
    case "drawn": drawn(frame); break;
    case "told":
      mention(frame.text);
      if (frame.undone) {
        log.exchanges.get(frame.undone)?.restore();
        log.unite();
      }
      break;
    case "trouble": trouble(frame.text); break;
    case "locked": door.shut(frame.text); break;
  }
  settle();
}

function history({ chat, lines, limit, file_limit, persona, only, version }) {
  if (!connection.connected && renewed(version)) return;
  composer.limit = limit;
  panel.show(persona);
  files.allow(file_limit);
  log.show(lines, only);
  if (!connection.connected) {
    connection.arrived(chat);
    where(chat);
    shelf.mark(chat);
    if (troubled && told() === troubled) tell("");
    troubled = "";
    if (shelf.words) connection.send({ type: "find", text: shelf.words });
    composer.transmit();
    forget();
  }
  settle();
}

// The page was opened before the server had another one. Each is tried once: something in between may keep the old.
function renewed(version) {
  if (version === document.body.dataset.version || files.any || document.querySelector("dialog[open]")) return false;
  try {
    if (sessionStorage.getItem("version") === version) return false;
    sessionStorage.setItem("version", version);
  } catch {
    return false;
  }
  location.reload();
  return true;
}

// What has happened meanwhile, perhaps on another page of the same person.
function news({ chat, what, key, text }) {
  if (what === "waiting") log.exchanges.get(key)?.wait(text);
  else if (what === "answered") shelf.answered(chat);
  else if (chat === connection.chat && connection.connected) go(randomId());
}

function forget() {
  for (const chat of doomed) {
    if (connection.send({ type: "forget", chat })) doomed.delete(chat);
  }
}

// Whoever has the next key may be somebody else.
function locked() {
  log.clear();
  shelf.show([]);
  door.shut("");
}

function refused({ id, text }) {
  if (composer.pending?.id === id) composer.give(text);
  else tell(text);
}

function drawn(frame) {
  composer.taken(frame.key);
  log.exchange(frame.key).draw(frame);
  if (frame.final && frame.key.endsWith("/reset")) log.forgetBefore(frame.key);
}

function trouble(text) {
  troubled = text;
  if (composer.pending && connection.connected) composer.give(text);
  else tell(text);
}

// What the server has is on the page: a message begins an exchange, and what is done with an answer opens it again.
function taken(key, frame = null) {
  if (!frame && composer.pending?.id === key.split("/")[0]) return composer.taken(key);
  const [, kind, on] = key.split("/");
  if (on && kind !== "vote") {
    const one = log.exchange(on);
    one.think();
    if (kind === "edit" && frame) {
      one.reword(frame.text);
      log.branch(on);
      log.sticking = true;
    }
  } else if (frame && kind !== "stop") {
    const one = log.exchange(key);
    log.sticking = true;
    one.say(frame.text.trim(), frame.files.map((file) => file.name));
    if (!one.answer) one.think();
  }
  settle();
}

// What the person does.

function settle() {
  by("stop").hidden = !log.isWriting;
  log.settle();
}

function stop() {
  connection.send({ type: "stop", id: randomId() });
}

function halt() {
  if (composer.pending && !connection.connected) composer.give("");
  else if (log.isWriting) stop();
  else composer.leave();
}

// The address names the conversation, so that going back, a reload and a bookmark find it.

function where(chat) {
  const url = `#/${chat}`;
  if (location.hash !== url) window.history[location.hash ? "pushState" : "replaceState"](null, "", url);
}

function go(chat) {
  if (chat === connection.chat) return;
  composer.give("");
  composer.leave();
  log.clear();
  tell("");
  shelf.mark(chat);
  where(chat);
  connection.open(chat);
  settle();
  by("box").focus();
}

function asked() {
  return location.hash.startsWith("#/") ? location.hash.slice(2) : null;
}

addEventListener("popstate", () => go(asked() ?? ""));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && !document.querySelector("dialog[open]")) halt();
});
by("stop").addEventListener("click", () => {
  halt();
  by("box").focus();
});
by("welcome").addEventListener("click", ({ target }) => {
  const { text } = target.dataset;
  if (!text) return;
  composer.submit(text);
  by("box").focus();
});

composer.refresh();
connection.open(asked());
