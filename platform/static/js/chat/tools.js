// What one can do with a message, in one row of buttons that goes to the message at which one is; and where a form is
// needed, in a dialog or in the message's place.

import { call, messagePath } from "./api.js";
import { suggestPeople } from "./mentions.js";
import { element } from "./render.js";

const EDIT_WINDOW_MS = 3_600_000;

/**
 * @param {HTMLElement} list of messages
 * @param {{room: string, me: number, signs: string[], you: () => object, isDirect: boolean, isArchived: () => boolean, find: (id: number) => object | undefined,
 *   onAnswer: (id: number) => void, onTold: (message: object) => void, onEdited: (id: number) => void, say: (text: string, isGood?: boolean) => void, announce: (line: string) => void}} its
 */
export function createTools(list, { room, me, signs, you, isDirect, isArchived, find, onAnswer, onTold, onEdited, say, announce }) {
  const bar = element("div", { className: "chat-tools", role: "group", "aria-label": "What you can do with this message" });
  const dialog = document.querySelector("[data-chat-dialog]");
  let active = null; // the message's item in which the bar is

  const button = (name, label, onClick, className = "") => {
    const made = element("button", { type: "button", textContent: label, className, "data-tool": name });
    made.addEventListener("click", onClick);
    return made;
  };

  async function attempt(id, rest, options) {
    try {
      const told = await call(messagePath(room, id, rest), options);
      if (told?.sequence) onTold(told);
      return told;
    } catch (error) {
      say(error.message);
      return null;
    }
  }

  const react = (id, sign) => {
    const isOn = find(id).reactions[sign]?.includes(me);
    return attempt(id, `reactions/${encodeURIComponent(sign)}/`, { method: isOn ? "DELETE" : "PUT" });
  };

  function fill(message) {
    const { id, author, created_at: createdAt, deleted_at: deletedAt, pinned_at: pinnedAt } = message;
    const { can_write: canWrite, can_moderate: canModerate } = you();
    const isOwn = author.id === me;
    const made = [];
    if (!deletedAt && canWrite) {
      made.push(button("react", "React", () => fillSigns(id)), button("reply", "Reply", () => onAnswer(id)));
      if (isOwn && Date.now() - Date.parse(createdAt) < EDIT_WINDOW_MS) made.push(button("edit", "Edit", () => edit(id)));
      if (canModerate || isDirect) {
        made.push(button("pin", pinnedAt ? "Unpin" : "Pin", () => attempt(id, "pin/", { method: pinnedAt ? "DELETE" : "PUT" })));
      }
    }
    if (!deletedAt && !isArchived() && (isOwn || canModerate)) made.push(button("delete", "Delete", () => remove(id)));
    if (!deletedAt && !isOwn) made.push(button("report", "Report", () => report(id)));
    made.push(element("a", { href: `/chat/${room}/messages/${id}/`, textContent: "More", "data-tool": "more" }));
    bar.replaceChildren(...made);
  }

  function fillSigns(id) {
    const back = button("back", "Back", () => {
      fill(find(id));
      bar.querySelector("button")?.focus();
    });
    const made = signs.map((sign) => {
      const one = button("sign", sign, async () => {
        await react(id, sign);
        if (active?.dataset.message === String(id)) fill(find(id));
        active?.focus();
      });
      one.setAttribute("aria-label", `Answer with ${sign}`);
      return one;
    });
    bar.replaceChildren(...made, back);
    made[0].focus();
  }

  function activate(item) {
    if (item === active || item.classList.contains("pending") || item.querySelector("form")) return;
    const message = find(Number(item.dataset.message));
    if (!message) return;
    active?.classList.remove("active");
    active = item;
    item.classList.add("active");
    fill(message);
    item.append(bar);
  }

  // --- with a form -----------------------------------------------------------------------------------------------

  /** Ask in the dialog. @returns {Promise<string | null>} what was written; null where it's cancelled */
  function ask({ title, words, label, confirm }) {
    const field = dialog.querySelector("textarea");
    dialog.querySelector("h2").textContent = title;
    dialog.querySelector("p").textContent = words;
    dialog.querySelector("label").firstChild.textContent = label || "";
    dialog.querySelector("label").hidden = !label;
    field.value = "";
    field.required = Boolean(label);
    dialog.querySelector("[value=yes]").textContent = confirm;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? field.value.trim() : null), { once: true });
    });
  }

  async function remove(id) {
    const item = active;
    const answer = await ask({ title: "Delete this message?", words: "Its place stays, its words go for everybody.", confirm: "Delete" });
    if (answer === null) return;
    await attempt(id, "", { method: "DELETE" });
    (item?.isConnected ? item : document.getElementById(`message-${id}`))?.focus();
  }

  async function report(id) {
    const title = `Report the message of ${find(id).author.name}`;
    const words = "The moderators of the site are shown what it says, and who you are.";
    const reason = await ask({ title, words, label: "What is wrong with it?", confirm: "Report" });
    if (reason && (await attempt(id, "report/", { method: "POST", body: { reason } }))) say("Thank you: the moderators look at it.", true);
  }

  function edit(id) {
    const item = document.getElementById(`message-${id}`);
    const words = item.querySelector(".chat-body");
    const field = element("textarea", { rows: 3, value: find(id).body, "aria-label": "Your message" });
    const cancel = element("button", { type: "button", className: "button small quiet", textContent: "Cancel" });
    const save = element("button", { className: "button small primary", textContent: "Save" });
    const form = element("form", { className: "chat-edit" }, field, element("div", { className: "cluster" }, save, cancel));
    suggestPeople(field, { room, announce });
    const end = () => {
      form.remove();
      onEdited(id);
      document.getElementById(`message-${id}`)?.focus();
    };
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      save.disabled = true;
      const told = await attempt(id, "", { method: "PATCH", body: { body: field.value } });
      save.disabled = false;
      if (told) end();
      else field.focus();
    });
    cancel.addEventListener("click", end);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    bar.remove();
    active?.classList.remove("active");
    active = null;
    words.hidden = true;
    words.after(form);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  // --- at which message one is -----------------------------------------------------------------------------------

  const itemOf = (event) => event.target.closest(".chat-message");
  list.addEventListener("focusin", (event) => {
    const item = itemOf(event);
    if (item) activate(item);
  });
  list.addEventListener("pointerover", (event) => {
    const item = event.pointerType === "mouse" && itemOf(event);
    if (item && !bar.contains(document.activeElement)) activate(item);
  });
  list.addEventListener("click", (event) => {
    const item = itemOf(event);
    const sign = event.target.closest(".chat-sign");
    if (sign) react(Number(item.dataset.message), sign.dataset.sign);
    else if (item && !event.target.closest("a, button, textarea")) activate(item);
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === active) {
      event.preventDefault();
      bar.querySelector("button, a")?.focus();
    } else if (event.key === "Escape" && bar.contains(event.target)) {
      fill(find(Number(active.dataset.message)));
      active.focus();
    }
  });

  return {
    /** Put a message's new look in the place of the old; the bar and the focus go along. */
    replace(old, fresh) {
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const { sign, tool } = focused?.dataset ?? {};
      fresh.tabIndex = old.tabIndex;
      old.replaceWith(fresh);
      if (old === active) {
        active = null;
        activate(fresh);
      }
      if (!focused) return;
      const same = sign ? `[data-sign="${CSS.escape(sign)}"]` : tool ? `[data-tool="${CSS.escape(tool)}"]` : null;
      ((same && fresh.querySelector(same)) || fresh).focus();
    },
  };
}
