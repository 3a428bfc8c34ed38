// The list of tasks, and the page of one, kept as they are now. Without it both are right as of when they were loaded.

import { openSocket } from "./socket.js";

const REFRESH_MS = 1_000; // a page is fetched anew this often at most
const STATES = { connecting: "Connecting…", offline: "Not live; trying again" };

// --- what both pages have --------------------------------------------------------------------------------------

/**
 * Follow what a page shows, while somebody looks at it.
 * @param {string} query as the socket takes it
 * @param {(message: {type: string, runs: object[], gone?: string[]}) => void} onChange
 */
function follow(query, onChange) {
  const place = document.querySelector("[data-live]");
  const text = place.querySelector("[data-live-text]");
  const toggle = place.querySelector("[data-live-toggle]");
  let isHeld = false; // by the reader's wish
  let isOver = false;

  function show(state, words) {
    place.hidden = false;
    place.dataset.live = state;
    if (text.textContent !== words) text.textContent = words;
  }

  const socket = openSocket(`/ws/tasks/?${query}`, {
    onMessage(message) {
      if (message.type === "ready" || message.type === "changes") {
        onChange(message);
        if (!isHeld) show("open", "Live");
      } else if (message.type === "waiting") show("offline", "The database is away; trying again");
      else if (message.type === "stopped") show("offline", message.detail);
      else if (message.type === "error") show("offline", message.detail);
    },
    onState(state, { reason }) {
      if (state === "open") {
        if (isHeld || document.hidden) socket.send({ type: "pause" });
        return;
      }
      isOver = state === "closed";
      if (isOver && toggle) toggle.hidden = true;
      show("offline", isOver ? reason || "Not live" : STATES[state]);
    },
  });

  function tell() {
    socket.send({ type: isHeld || document.hidden ? "pause" : "resume" });
  }

  document.addEventListener("visibilitychange", tell);
  toggle?.addEventListener("click", () => {
    isHeld = !isHeld;
    toggle.textContent = isHeld ? "Go on" : "Pause";
    show(isHeld ? "held" : "open", isHeld ? "Held" : "Live");
    tell();
  });
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1_440)} days`;
}

function showProgress(place, text, progress, isRunning) {
  const bar = place.querySelector("progress");
  if (progress?.total) {
    bar.max = progress.total;
    bar.value = progress.done;
  } else if (isRunning) bar.removeAttribute("value");
  text.textContent = progress ? (progress.total ? `${progress.done} of ${progress.total}` : String(progress.done)) : "";
}

// --- the list --------------------------------------------------------------------------------------------------

function startList(root) {
  const body = root.querySelector("[data-runs]");
  const template = root.querySelector("[data-row]");
  const known = new Map(); // id → the run as it was told
  const timeFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });

  const rowOf = (id) => body.querySelector(`tr[data-run="${CSS.escape(id)}"]`);
  const part = (row, name) => row.querySelector(`[data-field="${name}"]`);

  function seconds(run) {
    if (!run.started_at) return null;
    const end = run.finished_at ? Date.parse(run.finished_at) : Date.now();
    return Math.max(0, (end - Date.parse(run.started_at)) / 1_000);
  }

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function fill(row, run) {
    const badge = part(row, "state");
    badge.dataset.state = run.state;
    setText(badge, run.state_label);
    const link = part(row, "name");
    link.href = `/tasks/${run.id}/`;
    setText(link.firstElementChild, run.name);
    setText(part(row, "queue"), run.queue || "–");
    setText(part(row, "wait"), duration(run.queue_wait_seconds));
    setText(part(row, "run"), duration(seconds(run)));
    setText(part(row, "attempts"), String(run.attempts));
    setText(part(row, "actor"), run.actor_label || "–");
    const error = part(row, "error");
    error.hidden = !run.error;
    setText(error, run.error.length > 160 ? `${run.error.slice(0, 159)}…` : run.error);
    const isRunning = run.state === "running";
    const progress = part(row, "progress");
    progress.hidden = !(isRunning && run.progress);
    showProgress(progress, part(row, "progress-text"), run.progress, isRunning);
    const time = part(row, "enqueued_at");
    if (time.dateTime !== run.enqueued_at) {
      const at = new Date(run.enqueued_at);
      time.dateTime = run.enqueued_at;
      time.title = at.toLocaleString();
      setText(time, `${timeFormat.format(at)}, ${clockFormat.format(at)}`);
    }
    const request = part(row, "request");
    if (request) {
      request.hidden = !run.request_id;
      request.href = `/ops/requests/${encodeURIComponent(run.request_id)}/`;
      setText(request.firstElementChild, run.request_id.slice(-8));
    }
  }

  function add(run) {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.run = run.id;
    return row;
  }

  /** Put a row where its key says: newest first. */
  function settle(row, run) {
    const next = Array.from(body.rows).find((other) => other !== row && (known.get(other.dataset.run)?.key ?? "") < run.key);
    if (next ? row.nextElementSibling !== next : row.parentElement !== body || row.nextElementSibling) body.insertBefore(row, next ?? null);
  }

  follow(root.dataset.followed, ({ type, runs, gone = [] }) => {
    if (type === "ready") {
      const there = new Set(runs.map((run) => run.id));
      known.clear();
      for (const run of runs) known.set(run.id, run);
      for (const row of Array.from(body.rows)) if (!there.has(row.dataset.run)) row.remove();
    }
    for (const id of gone) {
      known.delete(id);
      rowOf(id)?.remove();
    }
    for (const changed of runs) {
      const run = { ...known.get(changed.id), ...changed };
      known.set(run.id, run);
      const row = rowOf(run.id) ?? add(run);
      fill(row, run);
      if (!row.isConnected) settle(row, run);
    }
    root.querySelector("[data-table]").hidden = known.size === 0;
    root.querySelector("[data-none]").hidden = known.size > 0;
  });

  // What runs takes longer by the second.
  window.setInterval(() => {
    if (document.hidden) return;
    for (const run of known.values()) {
      if (run.state !== "running") continue;
      const row = rowOf(run.id);
      if (row) setText(part(row, "run"), duration(seconds(run)));
    }
  }, 1_000);
}

// --- one task --------------------------------------------------------------------------------------------------

function startTask(root) {
  let timer = 0;
  let fetchedAt = 0;
  let isFirst = true;
  let known = {};

  /** Take the parts of the page as the server shows them now; a part that somebody is at is left alone. */
  async function refresh() {
    timer = 0;
    fetchedAt = Date.now();
    let page;
    try {
      const answer = await fetch(window.location.pathname, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      return;
    }
    for (const part of root.querySelectorAll("[data-part]")) {
      const now = page.getElementById(part.id);
      const isTyped = Array.from(part.querySelectorAll("input")).some((field) => field.value !== field.defaultValue);
      if (now && !isTyped && !part.contains(document.activeElement) && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
    }
  }

  follow(`run=${root.dataset.task}`, ({ type, runs }) => {
    const [changed] = runs;
    if (!changed) return;
    const before = JSON.stringify({ ...known, progress: null });
    known = { ...known, ...changed };
    const place = root.querySelector("[data-progress]");
    if (place && known.progress) {
      const text = place.querySelector("[data-progress-text]");
      showProgress(place, text, known.progress, known.state === "running");
      if (known.progress.note) text.append(` · ${known.progress.note}`);
    }
    const isOnlyProgress = place && before === JSON.stringify({ ...known, progress: null });
    const isAsLoaded = isFirst && type === "ready" && known.state === root.querySelector("#now [data-state]").dataset.state;
    isFirst = false;
    if (isOnlyProgress || isAsLoaded || timer) return;
    timer = window.setTimeout(refresh, Math.max(0, fetchedAt + REFRESH_MS - Date.now()));
  });
}

const list = document.querySelector("[data-tasks]");
const task = document.querySelector("[data-task]");
if (list?.dataset.followed !== undefined && list.dataset.followed !== "off") startList(list);
if (task) startTask(task);
