// The operator's page: what the server tells, drawn; and what the operator asks for, sent.

import { Chart } from "./chart.js";
import { Refused, keep, listen, order } from "./server.js";
import { Table } from "./table.js";
import { amount, percent, seconds, since } from "./words.js";

const MOST_POINTS = 360;
const by = (id) => document.getElementById(id);

let points = [];
let held = new Set();

// What is said to the operator.

function say(text, trouble = false) {
  const status = by("status");
  status.classList.toggle("trouble", trouble);
  if (status.textContent !== text) status.textContent = text;
}

function sure(question, yes) {
  by("question").textContent = question;
  by("yes").textContent = yes;
  const dialog = by("sure");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((decided) => {
    dialog.addEventListener("close", () => decided(dialog.returnValue === "yes"), { once: true });
  });
}

async function ask(what, doing) {
  say(doing);
  try {
    say(await order(what));
    return true;
  } catch (error) {
    say(error.message, true);
    return false;
  }
}

// Now.

const NOW = [
  ["Turns running", (state) => amount(state.point?.running)],
  ["Waiting for the model", (state) => amount(state.point?.waiting)],
  ["Tokens made a second", (state) => amount(state.point?.decode)],
  ["Tokens read a second", (state) => amount(state.point?.prefill)],
  ["Tokens in a step", (state) => amount(state.point?.batch)],
  ["Found in the cache", (state) => percent(state.point?.found)],
  ["Cache in use", (state) => percent(state.point?.used)],
  ["Errors a minute", (state) => amount(state.point?.failed)],
  ["Set aside", (state) => amount(state.aside)],
  ["Votes", (state) => votes(all(state))],
];

function drawNow(state) {
  const list = by("now");
  NOW.forEach(([name, value], place) => {
    if (list.children[place] === undefined) {
      const box = document.createElement("div"), term = document.createElement("dt");
      term.textContent = name;
      box.append(term, document.createElement("dd"));
      list.append(box);
    }
    list.children[place].lastChild.textContent = value(state);
  });
}

// Charts.

const line = (name, value) => (shown) => [[name, shown.map(value)]];
const both = (...lines) => (shown) => lines.flatMap((each) => each(shown));
const each = (value) => (shown) => {
  const names = [...new Set(shown.flatMap((point) => Object.keys(point.delivery)))].sort();
  const of = (name) => shown.map(({ delivery }) => (name in delivery ? value(delivery[name]) : null));
  return names.map((name) => [name, of(name)]);
};

const charts = [
  new Chart("Turns", both(line("running", (p) => p.running), line("waiting", (p) => p.waiting)), amount),
  new Chart("Tokens a second", both(line("made", (p) => p.decode), line("read", (p) => p.prefill)), amount),
  new Chart("Tokens in a step", line("batch", (p) => p.batch), amount),
  new Chart("Cache", both(line("in use", (p) => p.used), line("found", (p) => p.found)), percent),
  new Chart("Sends and edits a second", each((d) => d.calls), amount),
  new Chart("429s a minute", each((d) => d.limited), amount),
  new Chart("Rooms behind the model", each((d) => d.lag), seconds),
  new Chart("Errors a minute", line("errors", (p) => p.failed), amount),
  new Chart("Votes a minute", both(line("up", (p) => p.up), line("down", (p) => p.down)), amount),
];
by("charts").append(...charts.map((chart) => chart.figure));

function drawCharts(now, newest) {
  const shown = newest === null ? points : [...points, newest];
  for (const chart of charts) chart.draw(shown, now);
}

// Tables.

const all = (state) => state.processes.flatMap((process) => process.platforms);
const sum = (items, name) => items.reduce((total, item) => total + item[name], 0);
const votes = (items) => `${sum(items, "up")} up, ${sum(items, "down")} down`;

function platforms(state) {
  const shown = all(state);
  const names = [...new Set([...shown.map((platform) => platform.name), ...state.held])].sort();
  return names.map((name) => ({ name, here: shown.filter((platform) => platform.name === name) }));
}

function stateOf({ name, here }) {
  const states = here.map(({ state, ready, connections, away }) => {
    if (ready) return state;
    return away < connections ? `${state}, ${away} of ${connections} not connected` : `${state}, not connected`;
  });
  return [...(held.has(name) ? ["paused"] : []), ...new Set(states)].join("; ") || "–";
}

function lagOf(here) {
  const lags = sum(here, "lags");
  return lags ? seconds(sum(here, "lag") / lags) : "–";
}

const tables = {
  platforms: new Table(by("platforms"), (platform) => platform.name, (platform) => [
    platform.name,
    stateOf(platform),
    ...["events", "turns", "failed", "sends", "edits", "limited", "broken"].map((name) => [
      amount(sum(platform.here, name)),
    ]),
    [lagOf(platform.here)],
    [votes(platform.here)],
  ], ({ name }) => (held.has(name)
    ? ["Resume", `Resume ${name}`, () => ask({ do: "resume", platform: name }, `Resuming ${name}…`)]
    : ["Pause", `Pause ${name}`, () => ask({ do: "pause", platform: name }, `Pausing ${name}…`)])),

  processes: new Table(by("processes"), (process) => process.id, (process) => [
    `${process.host}, ${process.pid}`,
    process.role,
    since(process.started),
    process.platforms.map(({ name, state }) => `${name}: ${state}`).join("; ") || "–",
    process.model === null ? "–" : process.model.name + (process.resting ? ", takes no work" : ""),
    [amount(process.turns.length + process.more)],
    ...engine(process.model?.load).map((text) => [text]),
  ], (process) => {
    if (process.model === null) return null;
    const name = `process ${process.pid} on ${process.host}`;
    return process.resting
      ? ["Take work", `Let ${name} take work`, () => ask({ do: "work", process: process.id }, "Asking…")]
      : ["Drain", `Drain ${name}`, () => drain(process, name)];
  }),

  rooms: new Table(by("rooms"), (room) => room.key, (room) => [
    room.conversation,
    room.platform,
    room.doing,
    [room.place ? amount(room.place) : "–"],
    [seconds(room.seconds)],
  ]),
};

function engine(load) {
  if (load === undefined) return ["–", "–", "–", "–"];
  const step = load.steps ? amount((load.prefill_tokens + load.decode_tokens) / load.steps) : "–";
  const cache = load.cache_blocks ? percent(load.cache_used / load.cache_blocks) : "–";
  const most = load.most_running ? ` of ${load.most_running}` : "";
  return [`${load.running}${most}`, amount(load.waiting), step, cache];
}

async function drain(process, name) {
  const question = `Let ${name} take no more work? Its replies go to other workers, or end first.`;
  if (await sure(question, "Drain")) await ask({ do: "drain", process: process.id }, "Draining…");
}

function drawRooms(state) {
  const rooms = state.processes.flatMap((process) =>
    process.turns.map((turn) => ({ ...turn, key: `${process.id} ${turn.conversation}` })));
  const more = sum(state.processes, "more");
  tables.rooms.show(rooms.sort((one, other) => other.seconds - one.seconds));
  by("more").textContent = more ? `${more} more` : rooms.length ? "" : "Nobody is being answered.";
}

// What the server tells.

let told = "";

function heard(event, data) {
  by("board").hidden = false;
  by("entry").hidden = true;
  if (event === "history") {
    points = data;
    return;
  }
  held = new Set(data.held);
  const count = data.processes.length;
  const connection = count ? `Connected; processes: ${count}.` : "No process shows itself: the store may be away.";
  if (connection !== told) say((told = connection), count === 0);
  drawNow(data);
  if (data.kept) points = [...points, data.point].slice(-MOST_POINTS);
  drawCharts(data.at, data.kept ? null : data.point);
  tables.platforms.show(platforms(data));
  tables.processes.show(data.processes);
  drawRooms(data);
}

async function follow() {
  try {
    await listen(heard, (why) => say((told = `${why} Trying again…`), true));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    by("board").hidden = true;
    by("entry").hidden = false;
    by("refused").textContent = error.message;
    say("Not connected.");
    by("key").focus();
  }
}

by("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(by("key").value.trim());
  by("key").value = "";
  say("Connecting…");
  follow();
});

by("forget").addEventListener("submit", async (event) => {
  event.preventDefault();
  const person = by("person").value.trim();
  if (!await sure(`Forget ${person} for good?`, "Forget")) return;
  if (await ask({ do: "forget", person }, "Looking through all that is kept…")) by("person").value = "";
});

follow();
