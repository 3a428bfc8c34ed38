// A room's page: joins what comes over the socket, what was said, and what one says.

import { openSocket } from "../socket.js";
import { createAnnouncer } from "./announcer.js";
import { call } from "./api.js";
import { createComposer } from "./composer.js";
import { createLog } from "./log.js";
import { createNotifier } from "./notifier.js";
import { createOutbox, newClientId } from "./outbox.js";
import { createTyping, inWords, showHere } from "./people.js";
import { showPins } from "./pins.js";
import { createReading } from "./reading.js";
import { element, inShort, renderMessage, renderPending } from "./render.js";
import { createView, moveByKeys } from "./scroll.js";
import { createStore } from "./store.js";
import { createTools } from "./tools.js";
import { followUnread } from "./unread.js";

const PAGE_SIZE = 50;
const KEPT = 200;
const ANSWER_TIMEOUT_MS = 10_000;
const LOGGED_OUT = 4401;
const STATES = {
  connecting: "Connecting…",
  open: "Connected",
  offline: "Not connected; trying again",
  closed: "Disconnected",
};

const root = document.querySelector("[data-chat]");
const part = (name) => root.querySelector(`[data-chat-${name}]`);
const data = JSON.parse(document.getElementById("chat-data").textContent);
const { slug } = data.room;
const me = data.me;
const list = part("messages");
const find = (id) => log.get(id);
const place = { room: slug, me: me.id, find };

let log = createLog(data);
let { you, room } = data;
let hasEarlier = data.has_earlier;
let isReady = false;
let isReplaying = false; // the server tells what was missed, unasked
let fetchTimer = 0;

const store = createStore(`chat:${me.id}:${slug}:`);
const announce = createAnnouncer(part("announcer"));
const view = createView(part("log"), { onEnd, onNearBeginning: loadEarlier });
const reading = createReading({
  room: slug,
  read: data.read,
  have: () => log.have,
  isLookedAt: () => !document.hidden && view.isAtEnd(),
  send: (frame) => socket.send(frame),
});
const focusMessage = moveByKeys(part("log"), list);
const typing = createTyping((names) => {
  part("typing").textContent = names.length ? `${inWords(names)} ${names.length === 1 ? "is" : "are"} typing…` : "";
});
const notify = createNotifier(part("notify"), store, say);
const tools = createTools(list, {
  room: slug,
  me: me.id,
  signs: data.signs,
  you: () => you,
  isDirect: room.kind === "direct",
  isArchived: () => Boolean(room.archived_at),
  find,
  onAnswer: (id) => composer.answer(id),
  onTold: (message) => show(log.update(message)),
  onEdited: (id) => redraw(log.get(id)),
  say,
  announce,
});
const outbox = createOutbox(store, {
  send: ({ clientId, body, replyTo, pictures }) => socket.send({ type: "send", body, client_id: clientId, reply_to: replyTo, pictures }),
  onSilence: () => socket.reconnect(),
});
const onTyping = () => socket.send({ type: "typing" });
const composer = createComposer(part("form"), { room: slug, store, find, onSend, onTyping, say, announce });

// --- what was said -------------------------------------------------------------------------------------------

/** Draw all anew: at the beginning, and after a resync. */
function draw() {
  const items = log.messages().map((message) => renderMessage(message, place));
  list.replaceChildren(...items, ...outbox.waiting().map(pendingItem));
  for (const { author, client_id: clientId } of log.messages()) if (author.id === me.id && clientId) settle(clientId);
  const first = reading.read > 0 && log.messages().find(({ sequence, author }) => sequence > reading.read && author.id !== me.id);
  if (first) document.getElementById(`message-${first.id}`).before(element("li", { className: "chat-new" }, element("span", { textContent: "New" })));
  const last = list.querySelector(".chat-message:last-child");
  if (last) last.tabIndex = 0;
  part("earlier").hidden = !hasEarlier;
  showPins(part("pins"), log.pins());
  showEmpty();
}

/** Show what changed, all of it between two looks at how the page is laid out: a replay may hold many. */
function show(changes) {
  const wasAtEnd = view.isAtEnd();
  view.keepEnd(() => {
    for (const change of changes) {
      if (change.kind === "added") add(change.message, wasAtEnd);
      else if (change.kind === "changed") redraw(change.message);
      else if (change.kind === "pins") showPins(part("pins"), log.pins());
      else if (change.kind === "room") drawRoom(change.room);
    }
    if (wasAtEnd) trim();
  });
}

function add(message, wasAtEnd) {
  const isOwn = message.author.id === me.id;
  if (isOwn && message.client_id) settle(message.client_id);
  typing.forget(message.author.id);
  let before = list.lastElementChild; // pending ones come last
  while (before && !(Number(before.dataset.sequence) < message.sequence)) before = before.previousElementSibling;
  const item = renderMessage(message, place);
  if (before) before.after(item);
  else list.prepend(item);
  showEmpty();
  if (!wasAtEnd) part("newer").hidden = false;
  if (isOwn) return;
  announce(`${message.author.name}: ${inShort(message)}`);
  notify(message, room.kind === "direct" ? "your conversation" : room.name);
  if (!wasAtEnd || document.hidden) reading.count(message.mentions.includes(me.id));
  else reading.mark();
}

function redraw(message) {
  const item = document.getElementById(`message-${message.id}`);
  if (!item) return;
  const isEdited = item.querySelector("form") && !message.deleted_at; // somebody writes in it: drawn once they are done
  if (!isEdited) tools.replace(item, renderMessage(message, place));
}

/** Whoever reads along for days has the last messages on the page; the others come back by scrolling up. */
function trim() {
  const gone = log.messages().slice(0, -KEPT);
  if (gone.length < KEPT) return;
  hasEarlier = true;
  log.forget(gone);
  for (const { id } of gone) document.getElementById(`message-${id}`)?.remove();
  part("earlier").hidden = false;
}

function drawRoom(state) {
  room = state;
  if (room.kind !== "direct") part("name").textContent = room.name;
  part("topic").textContent = room.topic;
  you = { ...you, can_write: you.can_write && !room.archived_at }; // what one may do once it's open again comes as `you`
  showWriting();
}

function showWriting() {
  part("form").hidden = !you.can_write;
  part("closed").hidden = you.can_write;
  part("closed").textContent = room.archived_at ? "This room is archived: it can be read, not written in." : "You can read here, not write.";
}

function showEmpty() {
  part("empty").hidden = list.querySelector(".chat-message") !== null;
}

async function loadEarlier() {
  if (!hasEarlier || loadEarlier.isRunning) return;
  loadEarlier.isRunning = true;
  const first = log.messages()[0]?.sequence;
  try {
    const { results } = await call(`rooms/${encodeURIComponent(slug)}/messages/?limit=${PAGE_SIZE}${first ? `&before=${first}` : ""}`);
    hasEarlier = results.length === PAGE_SIZE;
    const fresh = log.addEarlier(results);
    view.keepPlace(() => {
      list.prepend(...fresh.map((message) => renderMessage(message, place)));
      part("earlier").hidden = !hasEarlier;
    });
  } catch (error) {
    say(error.message);
    return; // not by itself; by the next scroll, or the link
  } finally {
    loadEarlier.isRunning = false;
  }
  if (view.isNearBeginning()) loadEarlier();
}

/** Show a message of the address: here, or on its own page where it isn't loaded. */
function reveal() {
  const id = /^#message-(\d+)$/.exec(window.location.hash)?.[1];
  if (!id) return false;
  const item = document.getElementById(`message-${id}`);
  if (!item) {
    window.location.replace(`/chat/${slug}/messages/${id}/`);
    return true;
  }
  item.scrollIntoView({ block: "center" });
  focusMessage(item);
  return true;
}

function onEnd() {
  part("newer").hidden = true;
  reading.mark();
}

// --- one's own messages --------------------------------------------------------------------------------------

function noteOf({ refused }) {
  if (refused) return `not sent: ${refused}`;
  return isReady ? "sending…" : "waits for the connection";
}

function pendingItem(message) {
  const item = renderPending(message, noteOf(message), me, place);
  if (message.refused) {
    const back = element("button", { type: "button", className: "button small", textContent: "Take it back" });
    back.addEventListener("click", () => {
      if (composer.takeBack(message)) settle(message.clientId);
      else say("Send or clear what you are writing first.");
    });
    item.querySelector(".chat-text").append(back);
  }
  return item;
}

const itemOfPending = (clientId) => list.querySelector(`[data-pending="${CSS.escape(clientId)}"]`);
function onSend({ body, replyTo, pictures }) {
  say("");
  const message = { clientId: newClientId(), body, replyTo, pictures, at: Date.now() };
  list.append(pendingItem(message));
  showEmpty();
  view.toEnd();
  outbox.add(message);
  showState();
}

function settle(clientId) {
  const item = itemOfPending(clientId);
  if (item) view.keepEnd(() => item.remove());
  outbox.settle(clientId);
  if (item) showState();
}

function refuse(clientId, why) {
  const message = outbox.refuse(clientId, why);
  if (message) itemOfPending(clientId)?.replaceWith(pendingItem(message));
}

function showNotes() {
  for (const message of outbox.waiting()) {
    const note = itemOfPending(message.clientId)?.querySelector("[data-note]");
    if (note) note.textContent = noteOf(message);
  }
}

// --- the socket ----------------------------------------------------------------------------------------------

function take({ changes, fetchAfter }) {
  show(changes);
  if (fetchAfter !== null) fetchMissing(fetchAfter);
}

function fetchMissing(after) {
  if (!isReady || isReplaying || fetchTimer) return;
  if (!socket.send({ type: "fetch", after })) return;
  fetchTimer = window.setTimeout(() => socket.reconnect(), ANSWER_TIMEOUT_MS);
}

function fetched() {
  window.clearTimeout(fetchTimer);
  fetchTimer = 0;
}

/** Begin anew: what happened meanwhile can't be told event by event. */
async function resync() {
  fetched();
  try {
    const path = `rooms/${encodeURIComponent(slug)}/`;
    const state = await call(path);
    const [{ results }, pins] = await Promise.all([call(`${path}messages/?limit=${PAGE_SIZE}`), call(`${path}pins/`)]);
    log = createLog({ last_sequence: state.last_sequence, messages: results, pins });
    hasEarlier = results.length === PAGE_SIZE;
    you = state.you;
    drawRoom(state);
    draw();
    view.toEnd();
    isReplaying = false;
    fetchMissing(log.have);
  } catch (error) {
    say(error.message);
    window.setTimeout(resync, ANSWER_TIMEOUT_MS);
  }
}

let shownState = { name: "connecting", reason: "" };
function showState(name = shownState.name, reason = shownState.reason) {
  shownState = { name, reason };
  const waiting = outbox.waiting().filter((message) => !message.refused).length;
  let words = STATES[name];
  if (name === "closed" && reason) words += `: ${reason}`;
  if (name !== "open" && waiting) words += `. ${waiting === 1 ? "1 message waits" : `${waiting} messages wait`}`;
  part("state").dataset.chatState = name;
  if (part("state").textContent !== words) part("state").textContent = words;
}

function onState(name, { code = 0, reason = "" }) {
  isReady = false;
  isReplaying = false;
  fetched();
  outbox.close();
  typing.forgetAll();
  if (name === "open") return; // shown at the server's hello
  showHere(part("here"), null);
  showState(name, reason);
  showNotes();
  if (name === "closed" && code !== LOGGED_OUT) part("form").hidden = true; // nothing goes from here any more
  if (code !== LOGGED_OUT) return;
  say("What you wrote is kept here, and goes on its way once you have logged in. ");
  part("error").append(element("a", { href: `/accounts/login/?next=${encodeURIComponent(window.location.pathname)}`, textContent: "Log in" }));
}

function hello(frame) {
  isReady = true;
  isReplaying = true; // `events` follow, or `resync`
  you = frame.you;
  drawRoom(frame.room_state);
  showState("open", "");
  outbox.open();
  showNotes();
}

const onFrame = {
  hello,
  events(frame) {
    fetched();
    if (frame.upto >= frame.last_sequence) isReplaying = false;
    take(log.receiveFetched(frame));
    reading.mark();
  },
  resync,
  sequence: (frame) => take(log.hear(frame.last_sequence)),
  sent({ client_id: clientId, message }) {
    take(log.receive({ type: "message.created", sequence: message.sequence, message }));
    if (clientId) settle(clientId);
  },
  typing: (frame) => typing.hear(frame),
  presence: (frame) => showHere(part("here"), frame),
  you(frame) {
    you = frame.you;
    showWriting();
  },
  read: reading.hear,
  error(frame) {
    fetched();
    if (frame.client_id) refuse(frame.client_id, frame.detail);
    else say(frame.detail || "The server refused that.");
  },
};

const socket = openSocket(() => `/ws/chat/${encodeURIComponent(slug)}/?after=${log.have}`, {
  onState,
  onMessage(frame) {
    if (Object.hasOwn(onFrame, frame.type)) onFrame[frame.type](frame);
    else if (frame.sequence) take(log.receive(frame));
  },
});

/** Say what went wrong, or with `isGood` what went well; one at a time. */
function say(text, isGood = false) {
  part("told").textContent = isGood ? text : "";
  part("error").textContent = isGood ? "" : text;
  part("error").hidden = isGood || !text;
}

// --- the page ------------------------------------------------------------------------------------------------

part("newer").addEventListener("click", () => {
  view.toEnd();
  composer.focus();
});
part("earlier").addEventListener("click", (event) => {
  event.preventDefault();
  loadEarlier();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) reading.mark();
});
window.addEventListener("hashchange", reveal);
draw();
showWriting();
followUnread(slug);
reading.begin(data);
if (!reveal()) {
  const first = list.querySelector(".chat-new");
  if (first) first.scrollIntoView({ block: "center" });
  else view.toEnd();
  reading.mark();
}
