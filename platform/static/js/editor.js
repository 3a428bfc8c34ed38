// What the editor of posts adds to a form that works without.

import { takePictures } from "./editor-pictures.js";

// A time in UTC, told in the writer's own zone as well.
for (const input of document.querySelectorAll("input[data-utc]")) {
  const told = document.createElement("span");
  told.className = "help";
  told.setAttribute("role", "status");
  input.after(told);
  const tell = () => {
    const date = new Date(`${input.value}Z`);
    told.textContent = Number.isNaN(date.getTime())
      ? ""
      : `Where you are, that's ${date.toLocaleString([], { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" })}.`;
  };
  input.addEventListener("input", tell);
  tell();
}

const form = document.querySelector("form[data-editor]");
if (form) edit(form);

function edit(form) {
  const { autosave, preview, editing } = form.dataset;
  const status = form.querySelector("[data-saved]");
  const version = form.elements.namedItem("version");
  const ask = async (url, data) => {
    const answer = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
    if (!(answer.headers.get("Content-Type") || "").includes("json")) throw new Error(`answered ${answer.status}`);
    return [answer.status, await answer.json()];
  };

  // What is typed is kept: soon after the last key, and not too late where the keys don't stop.
  const IDLE_MILLISECONDS = 3_000;
  const LONGEST_MILLISECONDS = 20_000;
  let timer = 0;
  let isTypedSince = 0;
  let running = null;
  let isStopped = false;

  const keep = async () => {
    clearTimeout(timer);
    isTypedSince = 0;
    if (running || isStopped) return;
    const typed = Array.from(form.elements).filter((field) => "defaultValue" in field).map((field) => [field, field.value]);
    running = ask(autosave, new FormData(form));
    try {
      const [code, told] = await running;
      const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      if (code === 200) {
        if (told.version) version.value = told.version;
        status.textContent = told.is_saved ? `Saved as you typed, ${time}.` : `Kept for you at ${time}, and not saved yet: nobody else sees it.`;
        for (const [field, value] of typed) if (field.type !== "hidden") field.defaultValue = value;
      } else {
        isStopped = code === 409;
        status.textContent = code === 409 ? "Somebody changed this draft meanwhile, so what you type isn't saved any more. Save, and you'll see both." : `Not kept: ${told.detail || code}`;
      }
    } catch (error) {
      status.textContent = `What you typed couldn't be kept (${error.message}). It's still on this page.`;
    } finally {
      running = null;
    }
  };

  const soon = () => {
    isTypedSince ||= Date.now();
    clearTimeout(timer);
    timer = setTimeout(keep, Math.min(IDLE_MILLISECONDS, Math.max(0, isTypedSince + LONGEST_MILLISECONDS - Date.now())));
  };
  form.addEventListener("input", soon);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden" && isTypedSince) keep();
  });

  // A save waits for the one that runs by itself, whose version it needs.
  window.addEventListener(
    "submit",
    (event) => {
      if (event.target !== form) return;
      clearTimeout(timer);
      if (!running) {
        isStopped = event.submitter?.dataset.previewButton === undefined;
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      running.catch(() => {}).then(() => setTimeout(() => form.requestSubmit(event.submitter)));
    },
    { capture: true },
  );

  // The text as readers will see it, beside the form while it's wanted.
  const button = form.querySelector("[data-preview-button]");
  const pane = form.querySelector("[data-preview-pane]");
  let rendering = 0;
  const render = async () => {
    try {
      const [, told] = await ask(preview, new FormData(form));
      const prose = pane.querySelector(".prose");
      if (told.refused) prose.textContent = told.refused;
      else prose.innerHTML = told.html; // made safe by the server, as the post itself
    } catch (error) {
      pane.querySelector(".prose").textContent = `There's no preview: ${error.message}.`;
    }
  };
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", (event) => {
    event.preventDefault();
    pane.hidden = !pane.hidden;
    button.setAttribute("aria-expanded", String(!pane.hidden));
    if (!pane.hidden) render().then(() => pane.scrollIntoView({ block: "nearest" }));
  });
  form.elements.namedItem("body").addEventListener("input", () => {
    clearTimeout(rendering);
    if (!pane.hidden) rendering = setTimeout(render, 600);
  });

  const told = document.querySelector("[data-told]");
  takePictures(form.elements.namedItem("body"), form.querySelector("[data-picture-button]"), form.elements.namedItem("csrfmiddlewaretoken").value, (words) => {
    told.textContent = words;
  });

  // Who else has it open, and whether it's still what was opened.
  if (!editing) return;
  const others = document.querySelector("[data-others]");
  const changed = document.querySelector("[data-changed]");
  const heartbeat = (extra) => {
    const data = new FormData();
    data.set("csrfmiddlewaretoken", form.elements.namedItem("csrfmiddlewaretoken").value);
    for (const [name, value] of Object.entries(extra || {})) data.set(name, value);
    return data;
  };
  const beat = async () => {
    try {
      const [code, told] = await ask(editing, heartbeat());
      if (code !== 200) return;
      others.hidden = told.others.length === 0;
      const text = told.others.length ? `${told.others.join(", ")} ${told.others.length === 1 ? "has" : "have"} this post open for editing as well.` : "";
      if (others.textContent !== text) others.textContent = text;
      if (!running) changed.hidden = told.version === version.value;
    } catch {
      // The next one tells.
    }
  };
  setInterval(beat, 1_000 * Number(form.dataset.beatSeconds || 15));
  window.addEventListener("pagehide", () => navigator.sendBeacon(editing, heartbeat({ leave: "1" })));
}
