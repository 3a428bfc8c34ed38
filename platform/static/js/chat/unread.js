// How much is unread in one's rooms: asked for while the page is looked at, and told by the socket of an open room.

import { call } from "./api.js";

const EVERY_MS = 20_000;

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
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) look();
  });
  timer = window.setTimeout(look, EVERY_MS);
}
