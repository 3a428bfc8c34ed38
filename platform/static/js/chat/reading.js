// How far one has read in the room: told to the server where the page is looked at, and heard from one's other tabs.

import { showUnread } from "./unread.js";

const READ_EVERY_MS = 700;

/**
 * @param {{room: string, read: number, have: () => number, isLookedAt: () => boolean, send: (frame: object) => boolean}} its
 *   `read`: the number up to which one has read; `isLookedAt`: whether the last messages are in sight
 */
export function createReading({ room, read: before, have, isLookedAt, send }) {
  const title = document.title;
  let read = before;
  let unread = 0;
  let mentions = 0;
  let timer = 0;

  function show() {
    document.title = unread ? `(${unread}) ${title}` : title;
    showUnread({ room, unread, mentions });
  }

  document.addEventListener("personal-socket", (event) => {
    const { type, notification } = event.detail;
    if (type === "notification" && !document.hidden && notification.url.startsWith(`/chat/${room}/`)) event.preventDefault();
  });

  return {
    get read() {
      return read;
    },
    /** Begin with numbers of the server. */
    begin(counts) {
      ({ unread, mentions } = counts);
      show();
    },
    /** Somebody else said something. */
    count(isMention) {
      unread += 1;
      mentions += isMention ? 1 : 0;
      show();
    },
    /** All that is here is read, if it's looked at: told now and then, not with each message. */
    mark() {
      if (timer) return;
      timer = window.setTimeout(() => {
        timer = 0;
        if (have() > read && isLookedAt() && send({ type: "read", sequence: have() })) read = have();
      }, READ_EVERY_MS);
    },
    /** The server's answer, to this tab or another, of this room or another. */
    hear(frame) {
      if (frame.room !== room) {
        showUnread(frame);
        return;
      }
      read = Math.max(read, frame.read);
      ({ unread, mentions } = frame);
      show();
    },
  };
}
