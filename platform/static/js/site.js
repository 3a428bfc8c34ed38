// What makes a page a little nicer, and is never needed: all of it works without.

// How long the server took to answer this page, as the browser saw it.
const [navigation] = performance.getEntriesByType("navigation");
if (navigation && navigation.responseStart > 0) {
  const milliseconds = Math.max(1, Math.round(navigation.responseStart - navigation.requestStart));
  for (const element of document.querySelectorAll("[data-duration]")) {
    element.textContent = ` · answered in ${milliseconds} ms`;
    element.hidden = false;
  }
}

// Times in the reader's own zone, on request: the tooltip holds them.
for (const time of document.querySelectorAll("main time[datetime]")) {
  const date = new Date(time.dateTime);
  if (!Number.isNaN(date.getTime()) && !time.title) time.title = date.toLocaleString();
}

// An open menu closes by Escape and by a click elsewhere.
for (const menu of document.querySelectorAll("details[data-menu]")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// A form is sent once; and what was typed into it isn't lost by a wrong click.
for (const form of document.querySelectorAll("form[data-guard]")) {
  const typed = () => Array.from(form.elements).some((field) => "defaultValue" in field && field.type !== "hidden" && field.value !== field.defaultValue);
  let isSending = false;
  form.addEventListener("submit", (event) => {
    if (isSending) event.preventDefault();
    isSending = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!isSending && typed()) event.preventDefault();
  });
  window.addEventListener("pageshow", () => {
    isSending = false;
  });
}
