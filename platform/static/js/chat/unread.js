// How much is unread in one's rooms: told by the personal socket within a second or so, and asked for now and then, and
// whenever that socket was away, since what is told may get lost.

import { call } from "./api.js";

const EVERY_MS = 60_000;
const FIRST_MS = 5_000; // where the socket was open before anybody listened, or can't be opened

/** Show a room's number at its link. @param {{room: string, unread: number, mentions: number}} frame */
export function showUnread({ room, unread, mentions }) {
  for (const element of document.querySelectorAll(`[data-room-unread="${CSS.escape(room)}"]`)) {
    element.hidden = !unread;
    element.classList.toggle("has-mentions", mentions > 0);
    const count = unread >= 100 ? "99+" : String(unread);
    element.firstElementChild.textContent = mentions ? `@ ${count}` : count;
    element.lastElementChild.textContent = mentions ? ` unread, ${mentions} of them to you` : " unread";
  }
}

/** Keep the numbers as they are on the server, but that of the room `except`, which its socket tells. */
export function followUnread(except = "") {
  let timer = 0;
  async function look() {
    window.clearTimeout(timer);
    if (document.hidden) return;
    timer = window.setTimeout(look, EVERY_MS);
    try {
      for (const frame of await call("unread/")) if (frame.room !== except) showUnread(frame);
    } catch {
      // looked for again in a while
    }
  }
  document.addEventListener("personal-socket", ({ detail: frame }) => {
    if (frame.type === "state" && !("read" in frame)) look(); // it has just been opened
    if (frame.type !== "chat.unread") return;
    for (const room of frame.rooms) if (room.room !== except) showUnread(room);
  });
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) look();
  });
  timer = window.setTimeout(look, FIRST_MS);
}
