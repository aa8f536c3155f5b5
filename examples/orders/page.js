// One order is one key. Every button sends through send(), which signs, times and shows each request as a row.

const byId = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
let last = null; // the last order, for the buttons that send it again
let isBusy = false;

// ---- requests

/** What the server checks: the time, a dot, the key as it is sent, a line feed, the body. */
async function sign(text) {
  const bytes = (text) => new TextEncoder().encode(text);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes(byId("secret").value), algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
  return Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function orderOfForm() {
  return {
    key: crypto.randomUUID(),
    user_id: byId("user").value,
    item: byId("item").value,
    amount: Number(byId("amount").value),
  };
}

async function makeRequest(order) {
  const body = JSON.stringify({ user_id: order.user_id, item: order.item, amount: order.amount });
  const key = `"${order.key}"`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = {
    "Content-Type": "application/json",
    "Idempotency-Key": key,
    "X-Timestamp": timestamp,
    "X-Signature": await sign(`${timestamp}.${key}\n${body}`),
  };
  return { body, headers };
}

/** Returns what became of it: `status`, and `outcome`, one of ran, replayed, conflict, mismatch, refused, failed. */
async function send(order) {
  const { body, headers } = await makeRequest(order);
  const start = performance.now();
  let result;
  try {
    const response = await fetch("/orders", { method: "POST", headers, body });
    const text = await response.text();
    result = {
      status: response.status,
      outcome: outcomeOf(response, text),
      retryAfter: Number(response.headers.get("Retry-After") ?? 1),
    };
  } catch {
    result = { status: 0, outcome: "failed", retryAfter: 1 };
  }
  showRequest(order, result, performance.now() - start);
  return result;
}

function outcomeOf(response, text) {
  if (response.status === 201) return response.headers.has("Idempotency-Replayed") ? "replayed" : "ran";
  if (text.includes("is already used")) return "mismatch"; // by its title, since its status can be chosen
  return response.status === 409 ? "conflict" : "refused";
}

/**
 * Hangs up as soon as the order has left. XMLHttpRequest, since it tells when that is; fetch does not.
 */
async function sendAndHangUp(order) {
  const { body, headers } = await makeRequest(order);
  const start = performance.now();
  await new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/orders");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onloadend = () => {
      request.abort();
      done();
    };
    request.onerror = done;
    request.send(body);
  });
  showRequest(order, { status: 0, outcome: "lost" }, performance.now() - start);
}

/** As a patient client: again after 409 and 503, under the same key. */
async function sendUntilAnswered(order) {
  const patience = 10;
  let result;
  for (let tries = 0; tries < patience; ++tries) {
    result = await send(order);
    const mayChange = result.outcome === "conflict" || result.status === 0 || result.status === 503;
    if (!mayChange) return result;
    await pause(1000 * result.retryAfter);
  }
  return result;
}

// ---- the buttons; each reports the result in a sentence

const tries = {
  async place() {
    last = orderOfForm();
    const result = await send(last);
    return complaint([result]) ?? "The order was placed: the request ran, and its answer is stored under its key.";
  },

  async twice() {
    last = orderOfForm();
    const results = await Promise.all([send(last), send(last)]);
    const { replayed } = count(results);
    const second = replayed ? "got the stored answer of the first" : "was told that the first is still running (409)";
    return complaint(results) ?? `Two clicks, one key: one request ran, the other ${second}. One order.`;
  },

  async retry() {
    const result = await sendUntilAnswered(last);
    const sentence = {
      replayed: "The same request again: the server did nothing and gave the first answer, byte for byte.",
      mismatch: "Refused: the last thing that was sent under this key is not what the key was first used for.",
    };
    return complaint([result]) ?? sentence[result.outcome] ?? "The request ran now: before, it had not been placed.";
  },

  async other() {
    const result = await send({ ...last, amount: last.amount + 1 });
    const sentence = "The key belongs to another order: refused, and nothing was placed. A new order needs a new key.";
    return complaint([result]) ?? (result.outcome === "ran" ? "The first was never placed, so this one was." : sentence);
  },

  async fifty() {
    last = orderOfForm();
    const order = last;
    const results = await Promise.all(Array.from({ length: 50 }, () => send(order)));
    const { ran = 0, replayed = 0, conflict = 0 } = count(results);
    return complaint(results) ??
      `50 requests, one key: ${ran} ran, ${replayed} got its stored answer, and ${conflict} came while it was still ` +
      "running (409). One order.";
  },

  async lose() {
    last = orderOfForm();
    await sendAndHangUp(last);
    const result = await sendUntilAnswered(last);
    return complaint([result]) ?? (result.outcome === "replayed"
      ? "The page hung up before the answer. The order was placed all the same; the retry got its answer. One order."
      : "The page hung up before the answer, and asked again. The retry placed the order. One order.");
  },
};

function count(results) {
  const counts = {};
  for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

/** Of an answer that is not about idempotency; nothing where there is none. */
function complaint(results) {
  const having = (status) => results.filter((result) => result.status === status).length;
  if (having(401)) return "401: the signature does not fit. Is that the server’s secret? Nothing was placed.";
  if (having(429)) {
    return `429: the rate limit refused ${having(429)} of ${results.length}, before anything was looked up. ` +
      "Wait a minute, or start the server with --rate-limit 1000.";
  }
  if (having(503)) return "503: a database is away, and nobody can say what was placed. Retry with the same key: that is safe.";
  if (having(0)) return "There was no answer at all. Retry with the same key: that is safe.";
  const other = results.find(({ outcome }) => outcome === "refused");
  return other ? `${other.status}: the server refused the order. Nothing was placed.` : null;
}

async function perform(name) {
  if (isBusy || !byId("order").reportValidity()) return;
  isBusy = true;
  document.body.setAttribute("aria-busy", "true");
  byId("result").textContent = "Sending …";
  let sentence;
  try {
    sentence = await tries[name]();
  } catch (error) {
    sentence = `The page failed: ${error.message}`;
  }
  byId("result").textContent = sentence;
  for (const each of ["retry", "other"]) document.querySelector(`[data-try=${each}]`).disabled = !last;
  document.body.removeAttribute("aria-busy");
  isBusy = false;
}

// ---- display

const words = {
  ran: "ran",
  replayed: "replayed",
  conflict: "still running",
  mismatch: "key is taken",
  refused: "refused",
  failed: "no answer",
  lost: "hung up",
};

function makeRow(cells) {
  const row = document.createElement("tr");
  for (const { text, title, kind } of cells) {
    const cell = row.insertCell();
    cell.textContent = text;
    if (title) cell.title = title;
    if (kind) cell.className = kind;
  }
  return row;
}

const keyCell = (key) => ({ text: key.length > 8 ? `${key.slice(0, 8)}…` : key, title: key, kind: "key" });

function showRequest(order, { status, outcome }, milliseconds) {
  const kept = 100;
  const rows = byId("requests");
  rows.prepend(makeRow([
    keyCell(order.key),
    { text: order.amount, kind: "number" },
    { text: status || "–" },
    { text: words[outcome], kind: `outcome ${outcome}` },
    { text: `${milliseconds.toFixed(1)} ms`, kind: "number" },
  ]));
  while (rows.rows.length > kept) rows.deleteRow(-1);
}

function showLedger(orders) {
  const rows = orders.map((order) => {
    const row = makeRow([
      { text: new Date(order.created_at).toLocaleTimeString(), title: order.created_at },
      { text: order.user_id },
      { text: order.item },
      { text: order.amount, kind: "number" },
      keyCell(order.idempotency_key),
    ]);
    row.dataset.key = order.idempotency_key;
    return row;
  });
  byId("ledger").replaceChildren(...rows);
  byId("live").textContent = "Live from the table itself, the latest first.";
}

function showCounters(counters) {
  for (const cell of document.querySelectorAll("[data-counter]")) cell.textContent = counters[cell.dataset.counter];
}

const events = new EventSource("/events");
events.addEventListener("orders", ({ data }) => showLedger(JSON.parse(data)));
events.addEventListener("counters", ({ data }) => showCounters(JSON.parse(data)));
events.addEventListener("outage", () => { byId("live").textContent = "The database is away."; });
events.addEventListener("error", () => { byId("live").textContent = "Not connected; trying again."; });

// Elsewhere browsers have neither crypto.subtle nor crypto.randomUUID.
if (!window.isSecureContext) {
  byId("result").textContent =
    "This page signs its requests, which browsers allow on https and on localhost only. Open it there, or send orders " +
    "with the command that the README has.";
  for (const button of document.querySelectorAll("button")) button.disabled = true;
}

byId("order").addEventListener("submit", (event) => {
  event.preventDefault();
  perform("place");
});
for (const button of document.querySelectorAll("[data-try]")) {
  button.addEventListener("click", () => perform(button.dataset.try));
}
