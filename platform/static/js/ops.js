// What makes the request page quicker to use, and is never needed: all of it works without.

const waterfall = document.querySelector("[data-waterfall]");
const said = document.querySelector("[data-copied]");

// --- copying -------------------------------------------------------------------------------------------------------

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(await text());
    button.textContent = "Copied";
  } catch {
    button.textContent = "Can't copy";
  }
  if (said) said.textContent = button.textContent;
  window.setTimeout(() => (button.textContent = label), 2_000);
}

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button, () => document.getElementById(button.dataset.copy).textContent));
  }
  for (const button of document.querySelectorAll("[data-copy-json]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button, () => fetch(button.dataset.copyJson).then((answer) => answer.text())));
  }
}

// --- folding, and what a link leads to -----------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-fold]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const details of waterfall.querySelectorAll("details:has(> ol)")) details.open = button.dataset.fold === "open";
  });
}

function reveal() {
  const target = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  if (!target || !waterfall?.contains(target)) return;
  for (let box = target.parentElement; box && box !== waterfall; box = box.parentElement) {
    if (box.tagName === "DETAILS") box.open = true;
  }
  target.querySelector("details").open = true;
  target.scrollIntoView({ block: "center" });
  target.querySelector("summary").focus({ preventScroll: true });
}
window.addEventListener("hashchange", reveal);
reveal();

// --- from row to row by the arrow keys -----------------------------------------------------------------------------

waterfall?.addEventListener("keydown", (event) => {
  if (!event.target.matches("summary.row") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const details = event.target.parentElement;
  if (step) {
    const rows = Array.from(waterfall.querySelectorAll("summary.row")).filter((row) => row.checkVisibility());
    rows[rows.indexOf(event.target) + step]?.focus();
  } else if (event.key === "ArrowRight") {
    details.open = true;
  } else if (event.key === "ArrowLeft") {
    details.open = false;
  } else {
    return;
  }
  event.preventDefault();
});
