// Browser notifications of a room's messages, for those who asked for them, while its page isn't looked at.

const CHOICE = "notify";
const LONGEST = 140;

/**
 * @param {HTMLButtonElement} button by which one chooses
 * @param {object} store where the choice is kept
 * @param {(text: string) => void} say
 */
export function createNotifier(button, store, say) {
  const isPossible = "Notification" in window && window.isSecureContext;
  const isOn = () => isPossible && store.get(CHOICE) === true && Notification.permission === "granted";

  const show = () => {
    button.hidden = !isPossible;
    button.setAttribute("aria-pressed", String(isOn()));
    button.textContent = isOn() ? "Notifying you" : "Notify me";
  };

  button.addEventListener("click", async () => {
    if (isOn()) store.set(CHOICE, false);
    else if ((await Notification.requestPermission()) === "granted") store.set(CHOICE, true);
    else say("Your browser refuses notifications of this site. Allow them in its settings first.");
    show();
  });
  show();

  return ({ id, author, body }, roomName) => {
    if (!isOn() || (!document.hidden && document.hasFocus())) return;
    // The same tag in each tab: one notification, however many are open.
    const shown = new Notification(`${author.name} in ${roomName}`, { body: body.slice(0, LONGEST), tag: `chat-message-${id}` });
    shown.addEventListener("click", () => {
      window.focus();
      window.location.hash = `message-${id}`;
      shown.close();
    });
  };
}
