// The way to the server. It comes back by itself, waiting longer each time, to the same conversation.
//
// A connection may be dead without anybody saying so: after a sleep, or behind a router that forgot it. So where
// nothing was heard for a while the server is asked whether it is there.

import { by } from "./dom.js";
import { say } from "./words.js";

const SLOWEST_RETRY = 15_000;
const ANSWER_WITHIN = 10_000;
const ASK_EVERY = 45_000;
const TOO_LARGE = 1009, LOCKED = 4401, LOST = 1006;

export class Connection {
  // `chat` is the conversation that is shown; null: the one that was spoken in last.
  constructor({ receive, tooLarge, locked }) {
    this.chat = null;
    this.connected = false;
    this.told = { receive, tooLarge, locked };
    this.socket = null;
    this.failures = 0;
    this.heard = false;
    addEventListener("online", () => this.look());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.look(); });
    setInterval(() => {
      if (this.heard) this.heard = false;
      else if (this.connected) this.look();
    }, ASK_EVERY);
  }

  // Show another conversation.
  open(chat) {
    this.chat = chat;
    this.failures = 0;
    const left = this.socket;
    this.socket = null;
    this.connected = false;
    left?.close();
    this.connect();
  }

  connect() {
    clearTimeout(this.retry);
    if (this.socket) return;
    if (this.failures === 0) this.state("connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = this.chat === null ? "" : `?c=${encodeURIComponent(this.chat)}`;
    const mine = this.socket = new WebSocket(`${scheme}://${location.host}/chat${query}`);
    const opening = setTimeout(() => this.leave(mine, LOST), ANSWER_WITHIN);
    mine.addEventListener("message", (event) => {
      clearTimeout(opening);
      if (mine !== this.socket) return;
      this.heard = true;
      clearTimeout(this.asked);
      this.told.receive(JSON.parse(event.data));
    });
    mine.addEventListener("close", (event) => {
      clearTimeout(opening);
      this.leave(mine, event.code);
    });
  }

  // Whether there is a connection, as far as one can tell by asking.
  look() {
    if (!this.send({ type: "ping" })) return this.connect();
    const mine = this.socket;
    clearTimeout(this.asked);
    this.asked = setTimeout(() => this.leave(mine, LOST), ANSWER_WITHIN);
  }

  // The history is there.
  arrived(chat) {
    this.chat = chat;
    this.connected = true;
    this.failures = 0;
    this.state("connected");
  }

  send(frame) {
    if (this.connected) this.socket.send(JSON.stringify(frame));
    return this.connected;
  }

  // What was sent must be answered soon, else the connection is dead; not every one notices. Returns how to say
  // that it was.
  expectAnswer() {
    const mine = this.socket;
    const overdue = setTimeout(() => this.leave(mine, LOST), ANSWER_WITHIN);
    return () => clearTimeout(overdue);
  }

  leave(which, code) {
    if (which !== this.socket) return;
    this.socket = null;
    this.connected = false;
    which.close();
    if (code === LOCKED) {
      this.state("locked");
      this.told.locked();
      return;
    }
    if (code === TOO_LARGE) this.told.tooLarge();
    this.failures += 1;
    this.state("away", this.failures === 1 ? "reconnecting" : "away");
    const wait = Math.min(SLOWEST_RETRY, 400 * 2 ** (this.failures - 1)) * (0.75 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect(), wait);
  }

  state(name, word = name) {
    by("connection").dataset.state = name;
    by("connection").textContent = say(word);
  }
}
