// A room: messages in the order of their numbers, without gaps, and one's own never lost on the way.

import { openSocket } from "./socket.js";

const SEND_INTERVAL_MS = 120; // below the server's limit of frames a second
const ANSWER_TIMEOUT_MS = 10_000;
const NEAR_END_PIXELS = 80;

const STATES = {
  connecting: "Connecting…",
  open: "Connected",
  offline: "Not connected; trying again",
  closed: "Disconnected",
};

const root = document.querySelector("[data-chat]");
const log = root.querySelector("[data-chat-log]");
const list = root.querySelector("[data-chat-messages]");
const empty = root.querySelector("[data-chat-empty]");
const state = root.querySelector("[data-chat-state]");
const newer = root.querySelector("[data-chat-newer]");
const form = root.querySelector("[data-chat-form]");
const error = root.querySelector("[data-chat-error]");
const field = form.elements.namedItem("body");
const userId = document.body.dataset.user;

let lastSequence = Number(root.dataset.lastSequence); // all up to here is on the page
const ahead = new Map(); // sequence → event, of pushes that came before what precedes them
const waiting = new Map(); // client id → {body, item}, of one's own messages that aren't stored yet
let fetchedAfter = null; // the number that a fetch is under way for
let isReady = false;
let pump = 0;
let sending = null; // the client id that an answer is awaited for
let sentAt = 0;

// --- what a message looks like -------------------------------------------------------------------------------

const timeFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function localTime(element) {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) return;
  element.textContent = timeFormat.format(time);
  element.title = time.toString();
}

/** Text with its web addresses as links; text stays text. */
function appendText(parent, text) {
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g)) {
    parent.append(text.slice(end, match.index));
    const link = document.createElement("a");
    link.href = match[0];
    link.rel = "nofollow noopener noreferrer";
    link.textContent = match[0];
    parent.append(link);
    end = match.index + match[0].length;
  }
  parent.append(text.slice(end));
}

function render({ id, author, body, created_at: createdAt, deleted_at: deletedAt }) {
  const item = document.createElement("li");
  if (id) item.id = `message-${id}`;
  item.className = String(author.id) === userId ? "chat-message own" : "chat-message";
  const avatar = document.createElement("span");
  avatar.className = "avatar";
  avatar.setAttribute("aria-hidden", "true");
  avatar.textContent = (Array.from(author.name)[0] || "?").toUpperCase();
  const text = document.createElement("div");
  text.className = "chat-text";
  const meta = document.createElement("p");
  meta.className = "meta";
  const name = document.createElement("strong");
  name.textContent = author.name;
  const time = document.createElement("time");
  if (createdAt) {
    time.dateTime = createdAt;
    localTime(time);
  } else {
    time.textContent = "sending…";
  }
  meta.append(name, " ", time);
  const paragraph = document.createElement("p");
  paragraph.className = "chat-body";
  paragraph.dir = "auto";
  appendText(paragraph, deletedAt ? "deleted" : body);
  text.append(meta, paragraph);
  item.append(avatar, text);
  return item;
}

const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PIXELS;

function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
  newer.hidden = true;
}

function insert(item, before) {
  const wasAtEnd = isAtEnd();
  empty.hidden = true;
  list.insertBefore(item, before);
  if (wasAtEnd || item.classList.contains("own")) scrollToEnd();
  else newer.hidden = false;
}

// --- what was said -------------------------------------------------------------------------------------------

/** Apply the next event: a message, or what became of one; the room's own state is the next page's. */
function apply({ type, sequence, message }) {
  lastSequence = sequence;
  if (!message) return;
  const isOwn = String(message.author.id) === userId;
  const item = render(message);
  item.dataset.sequence = String(message.sequence);
  if (isOwn && message.client_id) settle(message.client_id);
  const known = document.getElementById(item.id);
  if (known) known.replaceWith(item);
  else if (type === "message.created") insert(item, list.querySelector(".pending")); // one's own that wait stay last
}

function receive(event) {
  if (event.sequence > lastSequence) ahead.set(event.sequence, event);
  applyAhead();
  if (ahead.size) fetchMissing();
}

function applyAhead() {
  while (ahead.has(lastSequence + 1)) {
    const next = ahead.get(lastSequence + 1);
    ahead.delete(lastSequence + 1);
    apply(next);
  }
  for (const sequence of ahead.keys()) if (sequence <= lastSequence) ahead.delete(sequence);
}

function fetchMissing() {
  if (fetchedAfter === null && isReady && socket.send({ type: "fetch", after: lastSequence })) fetchedAfter = lastSequence;
}

function receiveFetched({ events, upto, last_sequence: newest }) {
  fetchedAfter = null;
  for (const event of events) if (event.sequence > lastSequence) apply(event);
  lastSequence = Math.max(lastSequence, upto);
  applyAhead();
  if (lastSequence < newest || ahead.size) fetchMissing();
}

// --- one's own messages --------------------------------------------------------------------------------------

function newClientId() {
  if (crypto.randomUUID) return crypto.randomUUID(); // absent where the page isn't a secure context
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function submit() {
  const body = field.value.trim();
  if (!body) return;
  showError("");
  const clientId = newClientId();
  const item = render({ author: { id: userId, name: document.body.dataset.userName || "You" }, body });
  item.classList.add("pending");
  waiting.set(clientId, { body, item });
  insert(item, null);
  field.value = "";
  grow();
  sendNext();
}

/** Send the oldest that waits; one at a time, so that they stay in order and below the limit. */
function sendNext() {
  window.clearTimeout(pump);
  if (!isReady || !waiting.size) return;
  const now = Date.now();
  const pause = sending === null ? sentAt + SEND_INTERVAL_MS - now : sentAt + ANSWER_TIMEOUT_MS - now;
  if (pause > 0) {
    pump = window.setTimeout(sendNext, pause);
    return;
  }
  const [clientId, { body }] = waiting.entries().next().value;
  if (!socket.send({ type: "send", body, client_id: clientId })) return;
  sending = clientId;
  sentAt = now;
  pump = window.setTimeout(sendNext, ANSWER_TIMEOUT_MS); // the same id again does no harm
}

/** A message that waited is stored, or refused. */
function settle(clientId) {
  waiting.get(clientId)?.item.remove();
  waiting.delete(clientId);
  if (sending === clientId) sending = null;
  sendNext();
}

function receiveError({ detail, client_id: clientId }) {
  const refused = clientId && waiting.get(clientId);
  if (refused) {
    settle(clientId);
    if (!field.value) {
      field.value = refused.body; // to be mended
      grow();
    }
  }
  fetchedAfter = null;
  showError(detail || "The server refused that.");
}

function showError(text) {
  error.textContent = text;
  error.hidden = !text;
}

// --- the socket ----------------------------------------------------------------------------------------------

const socket = openSocket(`/ws/chat/${encodeURIComponent(root.dataset.chat)}/`, {
  onState(name, { reason }) {
    isReady = false;
    sending = null;
    fetchedAfter = null;
    if (name === "open") return; // shown at the server's hello
    state.dataset.chatState = name;
    state.textContent = name === "closed" && reason ? `${STATES.closed}: ${reason}` : STATES[name];
  },
  onMessage(message) {
    switch (message.type) {
      case "hello":
        isReady = true;
        state.dataset.chatState = "open";
        state.textContent = STATES.open;
        if (message.last_sequence > lastSequence) fetchMissing();
        sendNext();
        break;
      case "sequence":
        if (message.last_sequence > lastSequence) fetchMissing();
        break;
      case "sent":
        receive({ type: "message.created", sequence: message.message.sequence, message: message.message });
        settle(message.client_id);
        break;
      case "events":
        receiveFetched(message);
        break;
      case "resync":
        window.location.reload();
        break;
      case "error":
        receiveError(message);
        break;
      default:
        if (message.sequence) receive(message);
    }
  },
});

// --- the form ------------------------------------------------------------------------------------------------

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
field.addEventListener("input", grow);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
newer.addEventListener("click", () => {
  scrollToEnd();
  field.focus();
});
log.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true;
});
window.addEventListener("beforeunload", (event) => {
  if (waiting.size) event.preventDefault();
});
for (const time of list.querySelectorAll("time")) localTime(time);
grow();
scrollToEnd();
