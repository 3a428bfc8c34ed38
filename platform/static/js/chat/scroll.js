// The window onto the log: it stays at the end while one is there, and stays where it is while earlier messages come.

const NEAR_END_PIXELS = 80;
const NEAR_BEGINNING_PIXELS = 400;

/**
 * @param {HTMLElement} log which scrolls
 * @param {{onEnd: () => void, onNearBeginning: () => void}} handlers
 */
export function createView(log, { onEnd, onNearBeginning }) {
  let wasAtEnd = true;
  const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PIXELS;

  const view = {
    isAtEnd,
    toEnd() {
      log.scrollTop = log.scrollHeight;
      wasAtEnd = true;
      onEnd();
    },
    /** Change what is below or within; whoever was at the end stays there. @returns whether they do */
    keepEnd(change) {
      const stays = isAtEnd();
      change();
      if (stays) view.toEnd();
      return stays;
    },
    /** Change what is above; what is looked at doesn't move. */
    keepPlace(change) {
      const fromEnd = log.scrollHeight - log.scrollTop;
      change();
      log.scrollTop = log.scrollHeight - fromEnd;
    },
    isNearBeginning: () => log.scrollTop < NEAR_BEGINNING_PIXELS,
  };

  log.addEventListener("scroll", () => {
    wasAtEnd = isAtEnd();
    if (wasAtEnd) onEnd();
    if (view.isNearBeginning()) onNearBeginning();
  });
  // A phone's keyboard comes up, a window is made smaller: the last message stays in sight.
  new ResizeObserver(() => {
    if (wasAtEnd) log.scrollTop = log.scrollHeight;
  }).observe(log);
  return view;
}

/** Arrow keys, Home and End move from message to message; only one of them is a stop of the Tab key. */
export function moveByKeys(log, list) {
  const items = () => Array.from(list.querySelectorAll(".chat-message"));
  const focus = (item) => {
    if (!item) return;
    for (const other of list.querySelectorAll('.chat-message[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  };
  log.addEventListener("keydown", (event) => {
    if (event.target.closest("textarea, input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = items();
    const at = all.indexOf(event.target.closest(".chat-message"));
    const next = {
      ArrowUp: at < 0 ? all.at(-1) : all[at - 1],
      ArrowDown: at < 0 ? all.at(-1) : all[at + 1],
      Home: all[0],
      End: all.at(-1),
    };
    if (!(event.key in next)) return;
    event.preventDefault();
    focus(next[event.key]);
  });
  return focus;
}
