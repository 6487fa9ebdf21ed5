// The server's API as the dashboard uses it: with the key, if there is one, and with errors as the server words them.

const KEY = "espalier-key"; // in sessionStorage: gone when the tab is closed

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY));
}

// GETs JSON.
export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const reply = await asked(`${path}${search}`, { headers: headers() });
  return reply.json();
}

// POSTs JSON and gives the chunks of the streamed reply one by one.
export async function* stream(path, body, signal) {
  const options = { method: "POST", body: JSON.stringify(body), headers: { ...headers(), "Content-Type": "application/json" }, signal };
  const reply = await asked(path, options);
  for await (const data of dataLines(reply.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Refused(500, chunk.error.message);
    yield chunk;
  }
}

async function asked(path, options) {
  let reply;
  try {
    reply = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer.");
  }
  if (!reply.ok) {
    const told = await reply.json().catch(() => null);
    throw new Refused(reply.status, told?.error?.message ?? `The server says ${reply.status}.`);
  }
  return reply;
}

function headers() {
  const key = sessionStorage.getItem(KEY);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// What follows "data: " in a body of server-sent events; comments, which keep the connection open, are passed over.
async function* dataLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    yield* lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6).trim());
  }
}
