// People to choose from while one types "@": a combobox, whose list the arrow keys move in while the cursor stays in the
// text. It's a combobox only as long as there's a list: without one it's the text field that it was.

import { call } from "./api.js";
import { element } from "./render.js";

const NAME = /(?:^|[^\w@/.])@([\w.+-]{0,30})$/; // what the server takes for one, up to the cursor
const ASK_MS = 120;
const MOST_KNOWN = 100;
let count = 0;

/**
 * @param {HTMLTextAreaElement} field
 * @param {{room: string, announce: (line: string) => void}} its
 */
export function suggestPeople(field, { room, announce }) {
  const list = element("ul", { className: "chat-suggestions", role: "listbox", id: `chat-people-${++count}`, "aria-label": "People to name", hidden: true });
  const known = new Map(); // what was typed → people
  let typed = null; // the name so far; null where none is being typed
  let people = [];
  let active = -1;
  let timer = 0;
  field.before(list);

  function close() {
    window.clearTimeout(timer);
    typed = null;
    people = [];
    if (list.hidden) return;
    list.hidden = true;
    for (const name of ["role", "aria-expanded", "aria-controls", "aria-autocomplete", "aria-activedescendant"]) field.removeAttribute(name);
  }

  function activate(index) {
    active = (index + people.length) % people.length;
    Array.from(list.children).forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    field.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function open(found) {
    if (!found.length) {
      people = [];
      list.hidden = false; // so that all of it is taken back
      close();
      return;
    }
    const wasOpen = !list.hidden;
    people = found;
    list.replaceChildren(
      ...found.map(({ name, username }, at) =>
        element(
          "li",
          { role: "option", id: `${list.id}-${at}`, "data-at": at },
          element("span", { className: "avatar", "aria-hidden": "true", textContent: (Array.from(name)[0] || "?").toUpperCase() }),
          element("span", { textContent: name }),
          " ",
          element("span", { className: "meta", textContent: `@${username}` }),
        ),
      ),
    );
    list.hidden = false;
    for (const [name, value] of [["role", "combobox"], ["aria-expanded", "true"], ["aria-controls", list.id], ["aria-autocomplete", "list"]]) field.setAttribute(name, value);
    activate(0);
    const number = found.length === 1 ? "1 person" : `${found.length} people`;
    announce(wasOpen ? number : `${number} to choose from by the arrow keys; Enter takes one, Escape none`);
  }

  async function ask(name) {
    if (!known.has(name)) {
      let found;
      try {
        found = await call(`rooms/${encodeURIComponent(room)}/people/?q=${encodeURIComponent(name)}`);
      } catch {
        found = null; // nobody is suggested; the name can be written all the same
      }
      if (found && known.size < MOST_KNOWN) known.set(name, found);
      if (typed === name) open(found ?? []);
    } else open(known.get(name));
  }

  function look() {
    const isOne = field.selectionStart === field.selectionEnd;
    const name = isOne ? NAME.exec(field.value.slice(0, field.selectionStart))?.[1] : undefined;
    if (name === undefined) {
      close();
      return;
    }
    if (name === typed) return;
    typed = name;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => ask(name), known.has(name) ? 0 : ASK_MS);
  }

  function take(index) {
    const end = field.selectionStart;
    const { username } = people[index];
    const space = field.value[end] === " " ? "" : " ";
    field.setRangeText(`${username}${space}`, end - typed.length, end, "end");
    close();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  field.addEventListener("input", look);
  field.addEventListener("click", look);
  field.addEventListener("keyup", (event) => {
    if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) look();
  });
  field.addEventListener("blur", close);
  // Before what else the keys do in the field.
  field.addEventListener(
    "keydown",
    (event) => {
      if (list.hidden || event.isComposing || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
      const does = {
        ArrowDown: () => activate(active + 1),
        ArrowUp: () => activate(active - 1),
        Enter: () => take(active),
        Tab: () => take(active),
        Escape: () => {
          const name = typed;
          close();
          typed = name; // not suggested again before it's another name
        },
      };
      if (!Object.hasOwn(does, event.key)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      does[event.key]();
    },
    { capture: true },
  );
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the cursor stays in the text
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(Number(option.dataset.at));
  });
}
