// The line to the host: requests, events, and who one says that one is.

import { at, openDialog } from "/dashboard/page.js";

const KEPT = "soloist-api-token";
/** The host sends something every two seconds: after so many milliseconds it is cut off. */
const QUIET = 7000;
const PAUSE = 500;
const PAUSE_MAX = 4000;

/** Sends a request; asks for a token when the host wants one. */
export async function request(method, path, body, signal) {
  for (;;) {
    const headers = {};
    const token = sessionStorage.getItem(KEPT);
    if (token) headers.authorization = `Bearer ${token}`;
    if (body) headers["content-type"] = "application/json";
    const answer = await fetch(path, {
      method, headers, signal, cache: "no-store", body: body && JSON.stringify(body),
    });
    if (answer.status !== 401) return answer;
    // Another request may have asked meanwhile.
    if (sessionStorage.getItem(KEPT) === token) await askForToken();
  }
}

/** The same, with what it answers. */
export async function ask(method, path, body) {
  const answer = await request(method, path, body);
  const data = await answer.json().catch(() => ({ detail: `the host answers ${answer.status}` }));
  return { ok: answer.ok, data };
}

let asking = null;
/** Who does not want to say it is not asked again and again. */
let declined = false;

function askForToken() {
  if (declined) return Promise.reject(new Error("a token is required; reload the page to enter one"));
  asking ??= new Promise((given, refused) => {
    const dialog = at("token");
    const value = at("token-value");
    value.value = "";
    openDialog(dialog, () => {
      sessionStorage.setItem(KEPT, value.value);
      dialog.close("given");
    });
    dialog.addEventListener("close", () => {
      asking = null;
      declined = dialog.returnValue !== "given";
      if (declined) refused(new Error("a token is required; reload the page to enter one"));
      else given();
    }, { once: true });
    dialog.returnValue = "";
  });
  return asking;
}

/** Reads a stream by lines, until it ends or is quiet for too long. */
export async function lines(path, { take, begun, signal }) {
  const silence = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), QUIET);
  };
  const signals = signal ? [signal, silence.signal] : [silence.signal];
  try {
    // One that takes a connection and says nothing is silent, too.
    heard();
    const answer = await request("GET", path, null, AbortSignal.any(signals));
    if (!answer.ok) {
      const refusal = await answer.json().catch(() => ({}));
      throw new Error(refusal.detail ?? `it answers ${answer.status}`);
    }
    heard();
    begun?.();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let unread = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("it has ended the connection");
      heard();
      const parts = (unread + value).split("\n");
      unread = parts.pop();
      parts.forEach(take);
    }
  } catch (error) {
    if (silence.signal.aborted) throw new Error("it is silent");
    throw error instanceof TypeError ? new Error("it does not answer") : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Takes events in for ever; the line is up as long as signs of life come. */
export async function listen(path, { take, line, begun }) {
  let pause = PAUSE;
  let heard = new Date();
  for (;;) {
    let event = "";
    const part = (text) => {
      heard = new Date();
      if (text.startsWith("event: ")) event = text.slice(7);
      else if (text.startsWith("data: ")) take(event, JSON.parse(text.slice(6)));
    };
    const up = () => {
      pause = PAUSE;
      line(true);
      begun();
    };
    try {
      await lines(path, { take: part, begun: up });
    } catch (error) {
      line(false, error.message, heard);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, PAUSE_MAX);
  }
}
