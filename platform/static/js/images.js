// Pictures: each is sent by itself, and its card follows what the worker does. Without this, the form is a form.

const SOON_MS = 700;
const LATEST_MS = 5_000;
const form = document.querySelector("form[data-upload]");
const list = document.querySelector("[data-pictures]");
const told = document.querySelector("[data-told]");

const say = (text) => {
  if (told) told.textContent = text;
};

// --- what becomes of a picture ---------------------------------------------------------------------------------------

async function cardOf(id) {
  const response = await fetch(`/images/${id}/card/`, { headers: { Accept: "text/html" } });
  if (response.status === 404) return null;
  if (!response.ok || response.redirected) throw new Error(`status ${response.status}`);
  const template = document.createElement("template");
  template.innerHTML = await response.text(); // our own page's, escaped there
  return template.content.firstElementChild;
}

function follow(element, delay = SOON_MS) {
  setTimeout(async () => {
    if (!element.isConnected) return;
    let next = element;
    try {
      const card = document.hidden ? element : await cardOf(element.dataset.picture);
      if (card === null) {
        element.remove();
        return;
      }
      if (card.dataset.version !== element.dataset.version) {
        if ("whole" in element.dataset && !("busy" in card.dataset)) {
          location.reload(); // the page of one picture shows more than its card
          return;
        }
        next = show(element, card);
      }
    } catch {
      // Whatever it was, the next time tells.
    }
    const isMoving = next !== element;
    if ("busy" in next.dataset) follow(next, isMoving ? SOON_MS : Math.min(delay * 1.5, LATEST_MS));
  }, delay);
}

function show(element, card) {
  if (!("busy" in card.dataset)) say(card.textContent.replace(/\s+/g, " ").trim());
  if ("whole" in element.dataset) {
    const frame = card.querySelectorAll("progress, p");
    element.replaceChildren(...frame);
    element.dataset.version = card.dataset.version;
    const copy = element.cloneNode(true);
    element.replaceWith(copy);
    return copy;
  }
  const hadFocus = element.contains(document.activeElement);
  element.replaceWith(card);
  if (hadFocus) card.querySelector("h3 a").focus();
  return card;
}

for (const element of document.querySelectorAll("[data-picture][data-busy]")) follow(element);

// --- sending ---------------------------------------------------------------------------------------------------------

if (form) {
  const input = form.elements.file;
  const errors = form.querySelector("[data-errors]");
  const drop = form.querySelector(".drop");
  for (const hint of form.querySelectorAll("[data-with-script]")) hint.hidden = false;

  const refuse = (name, message) => {
    const item = document.createElement("li");
    const strong = document.createElement("strong");
    strong.textContent = name;
    item.append(strong, `: ${message}${/[.!?]$/.test(message) ? "" : "."}`);
    errors.append(item);
  };

  const choose = (files) => {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    input.files = transfer.files;
    form.elements.alt.focus();
    say(files.length === 1 ? `${files[0].name} is chosen.` : `${files.length} pictures are chosen.`);
  };

  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) drop.classList.remove("is-over");
  });
  form.addEventListener("drop", (event) => {
    drop.classList.remove("is-over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    choose(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    choose(event.clipboardData.files);
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.disabled) return;
    const files = Array.from(input.files);
    const alt = form.elements.alt.value;
    errors.replaceChildren();
    button.disabled = true;
    for (const file of files) await send(file, alt);
    button.disabled = false;
    input.value = "";
    if (!errors.childElementCount) form.elements.alt.value = "";
    input.focus();
  });

  async function send(file, alt) {
    if (file.size > Number(form.dataset.largest)) {
      refuse(file.name, `it has ${file.size.toLocaleString("en")} bytes; at most ${Number(form.dataset.largest).toLocaleString("en")} are accepted: save it smaller`);
      return;
    }
    const waiting = placeholder(file.name);
    try {
      const { status, answer } = await post(file, alt, waiting.querySelector("progress"));
      if (status !== 201) throw new Error(problemOf(answer, status));
      const card = await cardOf(answer.id);
      if (card) {
        waiting.replaceWith(card);
        if ("busy" in card.dataset) follow(card);
      } else waiting.remove();
    } catch (error) {
      waiting.remove();
      refuse(file.name, error.message);
    }
    document.querySelector("[data-empty]").hidden = list.childElementCount > 0;
  }

  function post(file, alt, progress) {
    const body = new FormData();
    body.append("file", file);
    body.append("alt", alt);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch tells nothing of how much is sent
      request.open("POST", form.dataset.upload);
      request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) progress.value = event.loaded / event.total;
      });
      request.addEventListener("load", () => resolve({ status: request.status, answer: request.response }));
      request.addEventListener("error", () => reject(new Error("it couldn't be sent; look at your connection and try again")));
      request.send(body);
    });
  }

  function problemOf(answer, status) {
    const messages = answer && answer.errors ? Object.values(answer.errors).flat() : [];
    return messages.join("; ") || (answer && answer.detail) || `the server answered ${status}; try again`;
  }

  function placeholder(name) {
    const item = document.createElement("li");
    item.className = "picture";
    const frame = document.createElement("span");
    frame.className = "picture-frame";
    const title = document.createElement("h3");
    title.textContent = name;
    const progress = document.createElement("progress");
    progress.max = 1;
    progress.setAttribute("aria-label", `Sending ${name}`);
    const note = document.createElement("p");
    note.className = "meta";
    note.textContent = "Is being sent";
    item.append(frame, title, progress, note);
    list.prepend(item);
    document.querySelector("[data-empty]").hidden = true;
    return item;
  }
}
