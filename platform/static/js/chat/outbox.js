// One's own messages on their way: kept until the server has them, sent in order, one at a time, again with the same
// id over the next connection where no answer comes. The server stores the same id once, so that no drop, reload or second tab doubles one.

const INTERVAL_MS = 120; // below the server's limit of frames a second
const ANSWER_TIMEOUT_MS = 10_000;
const KEPT = "sending:"; // a name for each message: tabs write side by side

/**
 * @typedef {{clientId: string, body: string, replyTo: number | null, pictures: object[], at: number, refused?: string}} Outgoing
 * @param {{get: Function, set: Function, remove: Function, names: Function}} store
 * @param {{send: (message: Outgoing) => boolean, onSilence: () => void}} connection  `send` is false where there's none;
 *   `onSilence` is told that no answer comes
 */
export function createOutbox(store, { send, onSilence }) {
  const waiting = new Map();
  let isOpen = false;
  let timer = 0;
  let sending = null; // the client id that an answer is awaited for
  let sentAt = 0;

  const kept = store.names(KEPT).map((name) => store.get(name));
  for (const message of kept.filter((one) => one?.clientId).sort((one, other) => one.at - other.at)) {
    waiting.set(message.clientId, { ...message, refused: undefined });
  }

  function sendNext() {
    const next = Array.from(waiting.values()).find((message) => !message.refused);
    if (!isOpen || !next || sending !== null) return;
    window.clearTimeout(timer);
    const pause = sentAt + INTERVAL_MS - Date.now();
    if (pause > 0) {
      timer = window.setTimeout(sendNext, pause);
      return;
    }
    if (!send(next)) return;
    sending = next.clientId;
    sentAt = Date.now();
    timer = window.setTimeout(onSilence, ANSWER_TIMEOUT_MS);
  }

  function release(clientId) {
    if (sending === clientId) {
      sending = null;
      window.clearTimeout(timer);
    }
    sendNext();
  }

  return {
    /** @returns {Outgoing[]} what waits, the oldest first */
    waiting: () => Array.from(waiting.values()),
    add(message) {
      waiting.set(message.clientId, message);
      store.set(KEPT + message.clientId, message);
      sendNext();
    },
    /** The server has it, or it's taken back. */
    settle(clientId) {
      const message = waiting.get(clientId);
      waiting.delete(clientId);
      store.remove(KEPT + clientId);
      release(clientId);
      return message;
    },
    /** The server won't have it: it waits for its author. @returns {Outgoing | undefined} */
    refuse(clientId, why) {
      const message = waiting.get(clientId);
      if (message) message.refused = why;
      release(clientId);
      return message;
    },
    /** There's a connection that messages may go over. */
    open() {
      isOpen = true;
      sending = null;
      sendNext();
    },
    close() {
      isOpen = false;
      sending = null;
      window.clearTimeout(timer);
    },
  };
}

export function newClientId() {
  if (crypto.randomUUID) return crypto.randomUUID(); // absent where the page isn't a secure context
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
