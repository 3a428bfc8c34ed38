// What the browser keeps of the chat is one person's: nothing of it stays after their logout, or once somebody else is
// logged in. Whose session merely ended finds it again, by their next login.

import { forgetKept, keptNames } from "./store.js";

const me = document.body.dataset.user;
const mine = `chat:${me}:`;
const others = "BroadcastChannel" in window ? new BroadcastChannel("chat-left") : null;

const count = (names, one, many) => (names.length ? [names.length === 1 ? `1 ${one}` : `${names.length} ${many}`] : []);

/** What would be lost, in words; empty where it's nothing. */
function inWords() {
  const names = keptNames(mine);
  const waiting = names.filter((name) => name.includes(":sending:"));
  const drafts = names.filter((name) => name.endsWith(":draft"));
  return [...count(waiting, "message that waits to be sent", "messages that wait to be sent"), ...count(drafts, "draft", "drafts")].join(" and ");
}

/** @returns {Promise<boolean>} whether to go on */
function ask(words) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.setAttribute("aria-labelledby", "leaving-title");
  dialog.innerHTML = `<form method="dialog"><h2 id="leaving-title">Log out and lose what isn't sent?</h2><p></p>
    <div class="cluster"><button class="button primary danger" value="yes">Log out</button><button class="button quiet" value="no" autofocus>Stay</button></div></form>`;
  dialog.querySelector("p").textContent = `This browser keeps ${words}. None of it stays here after a logout.`;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

async function leave(form) {
  const words = inWords();
  if (words && !(await ask(words))) return;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    forgetKept("chat:");
    others?.postMessage(me);
    window.location.assign(answer.url);
  } catch {
    form.submit(); // the browser shows what is wrong, and nothing is lost
  }
}

forgetKept("chat:", mine);
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-logout]")) return;
  event.preventDefault();
  leave(event.target);
});
// A room in another tab doesn't stay on the screen.
others?.addEventListener("message", ({ data }) => {
  if (data === me && document.querySelector("[data-chat]")) window.location.reload();
});
