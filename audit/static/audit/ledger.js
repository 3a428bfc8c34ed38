// What makes the ledger's pages quicker to use, and is never needed: all of it works without.

const page = document.querySelector("[data-ledger]");

// Empty filters don't go into the address.
for (const form of document.querySelectorAll("[data-filters]")) {
  form.addEventListener("submit", () => {
    const empty = Array.from(form.elements).filter((field) => field.name && field.value.trim() === "");
    for (const field of empty) field.disabled = true;
    // The browser has taken the form by then; coming back finds it whole.
    window.setTimeout(() => empty.forEach((field) => (field.disabled = false)), 0);
  });
}

// How the events spread takes longer than the page, so it comes after it.
for (const box of document.querySelectorAll("[data-overview]")) {
  fetch(box.dataset.overview, { headers: { Accept: "text/html" } })
    .then((answer) => (answer.ok || answer.status === 400 ? answer.text() : Promise.reject(new Error(answer.statusText))))
    .then((html) => (box.innerHTML = html))
    .catch(() => (box.textContent = "How these events spread can't be shown at the moment."))
    .finally(() => box.setAttribute("aria-busy", "false"));
}

// A list of what isn't finished is asked for again until all is.
async function refresh(box) {
  const answer = await fetch(window.location.href).catch(() => null);
  if (answer?.ok) {
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    if (fresh) {
      box.replaceWith(fresh);
      box = fresh;
    }
  }
  if (Number(box.dataset.refresh)) window.setTimeout(() => refresh(box), Number(box.dataset.refresh));
}
for (const box of document.querySelectorAll("[data-refresh]")) {
  if (Number(box.dataset.refresh)) window.setTimeout(() => refresh(box), Number(box.dataset.refresh));
}

// --- keys ----------------------------------------------------------------------------------------------------------

const events = () => Array.from(document.querySelectorAll("[data-events] .action"));

function move(step) {
  const all = events();
  const place = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(place + step, 0), all.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const keys = {
  "/": () => document.querySelector("[data-filters] input")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  n: () => document.querySelector("a[rel=next]")?.click(),
  "?": () => document.querySelector("[data-keys]")?.showModal(),
};

if (page) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

// --- following live ------------------------------------------------------------------------------------------------

const MOST_LIVE = 100;
const button = document.querySelector("[data-live]");
const list = document.querySelector("[data-live-events]");

function addressOfSocket(cursor) {
  const port = document.body.dataset.socketPort;
  const host = port ? `${window.location.hostname}:${port}` : window.location.host;
  const asked = new URLSearchParams(window.location.search);
  for (const name of ["cursor", "order"]) asked.delete(name);
  if (cursor) asked.set("cursor", cursor);
  return `${window.location.protocol === "https:" ? "wss" : "ws"}://${host}/ws/audit/?${asked}`;
}

function lineOf(event) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = event.recorded_at;
  time.textContent = event.recorded_at.slice(11, 19);
  const link = document.createElement("a");
  link.className = "action";
  link.href = new URL(`events/${event.id}/`, window.location.origin + window.location.pathname).pathname;
  link.textContent = event.action;
  const rest = document.createElement("span");
  rest.className = "meta";
  rest.textContent = [event.object_id, event.actor_label || event.actor_type, Object.keys(event.changes).join(", ")].filter(Boolean).join(" · ");
  item.append(time, " ", link, " ", rest);
  return item;
}

class Live {
  constructor() {
    this.cursor = "";
    this.tries = 0;
    this.isWanted = true;
    this.open();
  }

  open() {
    this.socket = new WebSocket(addressOfSocket(this.cursor));
    this.socket.addEventListener("message", (message) => this.hear(JSON.parse(message.data)));
    this.socket.addEventListener("close", (event) => this.closed(event));
    show("Connecting …");
  }

  hear(frame) {
    if (frame.cursor) this.cursor = frame.cursor;
    if (frame.type === "ready" || frame.type === "idle" || frame.type === "events") {
      this.tries = 0;
      show("Following live");
    }
    if (frame.type === "waiting") show("Waiting …");
    if (frame.type === "error") show(frame.detail || frame.title);
    for (const event of frame.events || []) list.prepend(lineOf(event));
    while (list.children.length > MOST_LIVE) list.lastChild.remove();
  }

  closed(event) {
    // What is refused for good isn't asked for again.
    if (!this.isWanted || [1008, 4400, 4401, 4403].includes(event.code)) {
      if (this.isWanted) show(event.reason || "Not allowed");
      this.stop();
      return;
    }
    show("Reconnecting …");
    this.timer = window.setTimeout(() => this.open(), Math.min(30_000, 500 * 2 ** this.tries++));
  }

  stop() {
    this.isWanted = false;
    window.clearTimeout(this.timer);
    this.socket.close();
    live = null;
    button.setAttribute("aria-pressed", "false");
  }
}

let live = null;

function show(text) {
  button.textContent = text;
}

if (button && list) {
  button.hidden = false;
  button.addEventListener("click", () => {
    if (live) {
      live.stop();
      show("Follow live");
      return;
    }
    list.hidden = false;
    button.setAttribute("aria-pressed", "true");
    live = new Live();
  });
}

// --- an object in time ---------------------------------------------------------------------------------------------

const slider = document.querySelector("[data-versions]");
if (slider) {
  const versions = JSON.parse(document.getElementById(slider.dataset.versions).textContent);
  const state = document.querySelector("[data-state]");
  const said = document.querySelector("[data-slider-time]");
  let asked = 0;
  const tell = () => {
    const version = versions[Number(slider.value)];
    said.textContent = version.time;
    slider.setAttribute("aria-valuetext", `${version.time}, ${version.action}`);
    return version;
  };
  slider.addEventListener("input", async () => {
    const version = tell();
    const mine = ++asked;
    const answer = await fetch(`${slider.dataset.address}?version=${version.id}&part=state`);
    // A later move may have been answered first.
    if (mine === asked && answer.ok) state.innerHTML = await answer.text();
  });
  slider.addEventListener("change", () => window.history.replaceState(null, "", `?version=${tell().id}`));
  slider.closest("[hidden]")?.removeAttribute("hidden");
  tell();
}
