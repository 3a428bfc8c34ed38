// The form in which one writes: it keeps a draft, answers a message, takes pictures, and tells that one types.

import { upload } from "../editor-pictures.js";
import { suggestPeople } from "./mentions.js";
import { element, inShort } from "./render.js";

const DRAFT = "draft";
const TYPING_EVERY_MS = 2_000;
const MOST_PICTURES = 8;
const LONGEST = 4_000;

/**
 * @param {HTMLFormElement} form
 * @param {{room: string, store: object, find: (id: number) => object | undefined, onSend: (message: object) => void, onTyping: () => void, say: (text: string, isGood?: boolean) => void, announce: (line: string) => void}} its
 */
export function createComposer(form, { room, store, find, onSend, onTyping, say, announce }) {
  const field = form.elements.namedItem("body");
  suggestPeople(field, { room, announce });
  const about = form.querySelector("[data-chat-about]");
  const chips = form.querySelector("[data-chat-chosen]");
  const picker = form.querySelector("[data-chat-pictures]");
  let replyTo = null;
  let pictures = []; // {id, name}, ready
  let uploads = 0;
  let typedAt = 0;

  function grow() {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  }

  function keep() {
    const body = field.value;
    if (body.trim() || replyTo || pictures.length) store.set(DRAFT, { body, replyTo, pictures });
    else store.remove(DRAFT);
  }

  function answer(id) {
    replyTo = id;
    about.hidden = !id;
    about.replaceChildren();
    if (!id) return;
    const message = find(id);
    const cancel = element("button", { type: "button", className: "toast-dismiss", "aria-label": "Don't answer it", textContent: "×" });
    cancel.addEventListener("click", () => {
      answer(null);
      keep();
      field.focus();
    });
    const words = message ? `Answering ${message.author.name}: ${inShort(message)}` : "Answering an earlier message";
    about.append(element("span", { textContent: words }), cancel);
  }

  function showPictures() {
    chips.hidden = !pictures.length;
    chips.replaceChildren(
      ...pictures.map(({ id, name }) => {
        const remove = element("button", { type: "button", className: "toast-dismiss", "aria-label": `Leave out ${name}`, textContent: "×" });
        remove.addEventListener("click", () => {
          pictures = pictures.filter((one) => one.id !== id);
          showPictures();
          keep();
          field.focus();
        });
        return element("li", {}, element("span", { textContent: name }), remove);
      }),
    );
  }

  async function take(files) {
    const token = form.elements.namedItem("csrfmiddlewaretoken").value;
    for (const file of files) {
      if (pictures.length + uploads >= MOST_PICTURES) {
        say(`A message has at most ${MOST_PICTURES} pictures.`);
        return;
      }
      uploads += 1;
      say(`${file.name} is being uploaded.`, true);
      try {
        const { id } = await upload(file, token, file.name.replace(/\.[^.]*$/, ""));
        pictures.push({ id, name: file.name });
        say(`${file.name} goes with your message.`, true);
      } catch (error) {
        say(`${file.name} doesn't go with it: ${error.message}`);
      }
      uploads -= 1;
      showPictures();
      keep();
    }
  }

  function submit() {
    const body = field.value.trim();
    if (uploads) {
      say("A picture is still being uploaded; send once it's there.");
      return;
    }
    if (!body && !pictures.length) return;
    const length = Array.from(body).length; // as the server counts
    if (length > LONGEST) {
      say(`A message has at most ${LONGEST.toLocaleString("en")} characters; this one has ${length.toLocaleString("en")}.`);
      return;
    }
    const message = { body, replyTo, pictures: pictures.map((one) => one.id) };
    clear();
    onSend(message);
  }

  function clear() {
    field.value = "";
    pictures = [];
    answer(null);
    showPictures();
    typedAt = 0;
    keep();
    grow();
  }

  function put({ body = "", replyTo: answered = null, pictures: chosen = [] }) {
    field.value = body;
    pictures = chosen.filter((one) => one?.id);
    answer(answered);
    showPictures();
    grow();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => {
    grow();
    keep();
    if (field.value.trim() && Date.now() - typedAt > TYPING_EVERY_MS) {
      typedAt = Date.now();
      onTyping();
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && replyTo) {
      answer(null);
      keep();
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  if (picker) {
    const chooser = element("input", { type: "file", accept: "image/*", multiple: true });
    chooser.addEventListener("change", () => {
      take(Array.from(chooser.files));
      chooser.value = "";
      field.focus();
    });
    picker.hidden = false;
    picker.addEventListener("click", () => chooser.click());
    form.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      take(Array.from(event.clipboardData.files));
    });
    form.addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes("Files")) event.preventDefault();
    });
    form.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      take(Array.from(event.dataTransfer.files));
    });
  }
  field.required = false; // pictures alone are a message too
  field.removeAttribute("maxlength"); // which would cut off the end of what is pasted, and say nothing
  if (!field.value) put(store.get(DRAFT) || {});
  else grow(); // what the server refused comes back with the page

  return {
    focus: () => field.focus(),
    /** Answer a message: the next that is sent does. */
    answer(id) {
      answer(id);
      keep();
      field.focus();
    },
    /** Take back what wasn't sent. @returns false where something else is being written */
    takeBack({ body, replyTo: answered, pictures: ids }) {
      if (field.value.trim() || pictures.length) return false;
      put({ body, replyTo: answered, pictures: ids.map((id) => ({ id, name: "picture" })) });
      keep();
      field.focus();
      return true;
    },
  };
}
