// A WebSocket that comes back by itself: after a drop, a restart of the server, or a time offline.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
// A connection that lived this long was a good one: the next failure starts to count anew.
const STABLE_MS = 10_000;
// Not logged in, not allowed, not there: trying again won't help.
const FINAL_CODES = new Set([4401, 4403, 4404]);

/**
 * Where the sockets are: on the page's own host, or on another port of it in development.
 * @param {string} path such as /ws/chat/lobby/
 */
function addressOf(path) {
  const url = new URL(path, window.location.href);
  url.protocol = window.location.protocol === "https:" ? "wss:" : "ws:";
  const port = document.body.dataset.socketPort;
  if (port) url.port = port;
  return url.href;
}

/**
 * Open a socket, and keep it open.
 * @param {string | (() => string)} path asked for anew at each connection where it's a function
 * @param {{onMessage?: (message: object) => void, onState?: (state: "connecting"|"open"|"offline"|"closed", detail: {code?: number, reason?: string}) => void}} handlers
 * @returns {{send: (message: object) => boolean, reconnect: () => void, close: () => void}} `send` is false where the
 *   socket isn't open; `reconnect` gives up a connection that seems to be open and says nothing
 */
export function openSocket(path, { onMessage = () => {}, onState = () => {} } = {}) {
  let socket = null;
  let timer = 0;
  let failures = 0;
  let isClosed = false;

  function connect() {
    window.clearTimeout(timer);
    if (isClosed || (socket && socket.readyState <= WebSocket.OPEN)) return;
    if (!navigator.onLine) {
      onState("offline", {});
      return; // the `online` event connects
    }
    onState("connecting", {});
    const current = new WebSocket(addressOf(typeof path === "function" ? path() : path));
    let openedAt = 0;
    socket = current;
    current.addEventListener("open", () => {
      openedAt = Date.now();
      onState("open", {});
    });
    current.addEventListener("message", (event) => {
      if (socket !== current) return;
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return;
      }
      if (message && typeof message === "object") onMessage(message);
    });
    current.addEventListener("close", (event) => {
      if (socket !== current) return;
      socket = null;
      if (isClosed) return;
      if (FINAL_CODES.has(event.code)) {
        isClosed = true;
        onState("closed", { code: event.code, reason: event.reason });
        return;
      }
      if (openedAt && Date.now() - openedAt > STABLE_MS) failures = 0;
      const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      failures = Math.min(failures + 1, 10);
      onState("offline", { code: event.code, reason: event.reason });
      // Jitter, so that a restarted server isn't met by everybody at once.
      timer = window.setTimeout(connect, delay / 2 + Math.random() * (delay / 2));
    });
  }

  function onOnline() {
    failures = 0;
    connect();
  }

  function onOffline() {
    if (socket) socket.close();
    onState("offline", {});
  }

  // A page from the back-forward cache has lost its socket.
  function onPageShow(event) {
    if (event.persisted) onOnline();
  }

  window.addEventListener("online", onOnline);
  window.addEventListener("offline", onOffline);
  window.addEventListener("pageshow", onPageShow);
  connect();

  return {
    send(message) {
      if (!socket || socket.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(message));
      return true;
    },
    reconnect() {
      if (isClosed || !socket) return;
      const silent = socket;
      socket = null; // its end is waited for by nobody: that can take minutes
      silent.close();
      onState("offline", {});
      connect();
    },
    close() {
      isClosed = true;
      window.clearTimeout(timer);
      window.removeEventListener("online", onOnline);
      window.removeEventListener("offline", onOffline);
      window.removeEventListener("pageshow", onPageShow);
      if (socket) socket.close(1000);
    },
  };
}
