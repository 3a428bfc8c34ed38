// Tells those who listen to the page what is new in the room: one polite line, not each change of what is shown.

const TOGETHER_MS = 400; // what comes at once is told at once
const MOST_SPOKEN = 3;
const LONGEST = 200;

/** @param {HTMLElement} region with aria-live */
export function createAnnouncer(region) {
  let lines = [];
  let timer = 0;
  const speak = () => {
    region.textContent = lines.length > MOST_SPOKEN ? `${lines.length} new messages` : lines.join(". ");
    lines = [];
  };
  return (line) => {
    lines.push(line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line);
    window.clearTimeout(timer);
    timer = window.setTimeout(speak, TOGETHER_MS);
  };
}
