// What the page and the server say to each other. The key is sent with each request, and kept for this tab alone.

const KEY = "trialogue-operator";
const LONGEST_WAIT = 15000;

export class Refused extends Error {}

export const keep = (key) => sessionStorage.setItem(KEY, key);

function headers() {
  const key = sessionStorage.getItem(KEY);
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

async function problem(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `The server answered ${answer.status}.`;
  }
}

/** Ask for something to be done; what the server says of it. */
export async function order(what) {
  const answer = await fetch("/admin/orders", {
    method: "POST",
    headers: { ...headers(), "content-type": "application/json" },
    body: JSON.stringify(what),
  });
  if (!answer.ok) throw new Error(await problem(answer));
  return (await answer.json()).done;
}

/** Call `heard(event, data)` for all that the server tells, for ever. `lost` hears of each interruption. Throws
 * `Refused` when the server wants another key. */
export async function listen(heard, lost) {
  let wait = 1000;
  for (;;) {
    try {
      const answer = await fetch("/admin/stream", { headers: headers(), cache: "no-store" });
      if ([401, 403, 421].includes(answer.status)) {
        const isFirst = answer.status === 401 && sessionStorage.getItem(KEY) === null;
        throw new Refused(isFirst ? "" : await problem(answer));
      }
      if (!answer.ok) throw new Error(await problem(answer));
      for await (const [event, data] of events(answer.body)) {
        wait = 1000;
        heard(event, data);
      }
      lost("The server ended the connection.");
    } catch (error) {
      if (error instanceof Refused) throw error;
      lost("The server cannot be reached.");
    }
    await new Promise((again) => setTimeout(again, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const [event, data] = part.split("\n");
      yield [event.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
    }
  }
}
