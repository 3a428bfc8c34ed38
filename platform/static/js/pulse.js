// The figures are taken every 15 seconds: fetch the page's part anew, while somebody looks.

const EVERY_MILLISECONDS = 15_000;

async function renew() {
  if (document.hidden) return;
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-pulse]");
  const shown = document.querySelector("[data-pulse]");
  // A reader who has just reached a link by keyboard keeps it.
  if (fresh && shown && !shown.contains(document.activeElement)) shown.replaceWith(fresh);
}

setInterval(() => renew().catch(() => {}), EVERY_MILLISECONDS);
