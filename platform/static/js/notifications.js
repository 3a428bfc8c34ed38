// On each page of a logged-in person: the count at the bell, a toast for what is new, the list kept up to date.

import { showMaintenance } from "./maintenance.js";
import { openSocket } from "./socket.js";

const TOAST_MS = 10_000;
const MOST_TOASTS = 4;

/** The address as a path of this site; null where it leads elsewhere. */
function safePath(address) {
  if (typeof address !== "string" || !address.startsWith("/")) return null;
  const url = new URL(address, window.location.origin);
  return url.origin === window.location.origin ? url.pathname + url.search + url.hash : null;
}

function showUnread(count) {
  for (const element of document.querySelectorAll("[data-unread]")) {
    element.textContent = count > 99 ? "99+" : String(count);
    element.hidden = count === 0;
  }
  for (const form of document.querySelectorAll("[data-mark-all-read]")) form.hidden = count === 0;
}

function toastBox() {
  let box = document.getElementById("toasts");
  if (!box) {
    box = document.createElement("div");
    box.id = "toasts";
    document.body.append(box);
  }
  // Filled only after it's in the page, or it wouldn't be announced.
  if (!box.hasAttribute("aria-live")) box.setAttribute("aria-live", "polite");
  return box;
}

function showToast(notification, onOpen) {
  const box = toastBox();
  box.querySelector(`[data-toast="${Number(notification.id)}"]`)?.remove();
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset.toast = notification.id;
  const path = safePath(notification.url);
  const title = document.createElement(path ? "a" : "span");
  title.className = "toast-title";
  title.textContent = notification.title;
  if (path) {
    title.href = path;
    title.addEventListener("click", onOpen);
  }
  const dismiss = document.createElement("button");
  dismiss.type = "button";
  dismiss.className = "toast-dismiss";
  dismiss.setAttribute("aria-label", "Dismiss");
  dismiss.textContent = "×";
  toast.append(title, dismiss);

  let timer = 0;
  const remove = () => {
    window.clearTimeout(timer);
    toast.remove();
  };
  const wait = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(remove, TOAST_MS);
  };
  // It stays while somebody is at it, by mouse or by keyboard.
  for (const name of ["mouseenter", "focusin"]) toast.addEventListener(name, () => window.clearTimeout(timer));
  for (const name of ["mouseleave", "focusout"]) toast.addEventListener(name, wait);
  dismiss.addEventListener("click", remove);
  toast.addEventListener("keydown", (event) => {
    if (event.key === "Escape") remove();
  });
  while (box.children.length >= MOST_TOASTS) box.firstElementChild.remove();
  box.append(toast);
  wait();
}

function prependToList(notification) {
  const list = document.querySelector("[data-notifications]");
  if (!list) return;
  // One that stands for several grows: it comes anew, to the top.
  const before = list.querySelector(`[data-notification="${Number(notification.id)}"]`);
  const hadFocus = before?.contains(document.activeElement);
  before?.remove();
  const item = document.createElement("li");
  item.className = "notification unread";
  item.dataset.notification = String(notification.id);
  const text = document.createElement("div");
  const title = document.createElement("p");
  title.className = "notification-title";
  const path = safePath(notification.url);
  const link = document.createElement(path ? "a" : "span");
  link.textContent = notification.title;
  if (path) link.href = path;
  title.append(link);
  text.append(title);
  if (notification.body) {
    const body = document.createElement("p");
    body.className = "notification-body";
    body.textContent = notification.body;
    text.append(body);
  }
  const meta = document.createElement("p");
  meta.className = "meta";
  const kind = String(notification.kind).replaceAll("_", " ");
  meta.textContent = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} · now`;
  text.append(meta);
  const form = document.createElement("form");
  form.dataset.markRead = "";
  const button = document.createElement("button");
  button.className = "button small";
  button.type = "submit";
  button.textContent = "Mark as read";
  form.append(button);
  item.append(text, form);
  list.prepend(item);
  if (hadFocus) (item.querySelector("a") ?? button).focus();
  list.hidden = false;
  for (const empty of document.querySelectorAll("[data-notifications-empty]")) empty.hidden = true;
}

function showRead(ids) {
  for (const id of ids) {
    const item = document.querySelector(`[data-notification="${Number(id)}"]`);
    if (item) {
      const hadFocus = item.contains(document.activeElement);
      item.classList.remove("unread");
      item.querySelector("[data-mark-read]")?.remove();
      if (hadFocus) item.querySelector("a")?.focus();
    }
    document.querySelector(`[data-toast="${Number(id)}"]`)?.remove();
  }
}

function start() {
  let isClosed = false; // for maintenance, as this connection was told
  const socket = openSocket("/ws/notifications/", {
    onState(state) {
      if (state === "open") isClosed = false;
    },
    onMessage(message) {
      // Other parts of the page may be concerned; who shows it already prevents that it's shown once more.
      const isNews = document.dispatchEvent(new CustomEvent("personal-socket", { detail: message, cancelable: true }));
      if (message.type === "maintenance") {
        isClosed = message.is_on;
        showMaintenance(message);
      } else if (message.type === "state" && !isClosed) {
        showMaintenance({ is_on: false }); // it ended while the socket was away
      }
      if (typeof message.unread === "number") showUnread(message.unread);
      if (message.type === "notification") {
        const { notification } = message;
        prependToList(notification);
        if (isNews) showToast(notification, () => socket.send({ type: "mark_read", id: notification.id }));
      } else if (message.type === "state" && Array.isArray(message.read)) {
        showRead(message.read);
      }
    },
  });

  // The forms work by themselves; with the socket there is no need to load the page again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement)) return;
    if ("markRead" in form.dataset) {
      const id = Number(form.closest("[data-notification]")?.dataset.notification);
      if (socket.send({ type: "mark_read", id }) || !form.hasAttribute("action")) event.preventDefault();
    } else if ("markAllRead" in form.dataset && socket.send({ type: "mark_all_read" })) {
      event.preventDefault();
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest(".notification.unread a") : null;
    if (link) socket.send({ type: "mark_read", id: Number(link.closest("[data-notification]").dataset.notification) });
  });
}

if (document.body.dataset.user) start();
