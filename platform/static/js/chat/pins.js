// What is pinned, behind one word in the room's head.

import { element, inShort } from "./render.js";

/** @param {HTMLDetailsElement} details */
export function showPins(details, pins) {
  details.hidden = !pins.length;
  details.querySelector("summary").textContent = `${pins.length} pinned`;
  const items = pins.map((message) => {
    const link = element("a", { href: `#message-${message.id}`, textContent: `${message.author.name}: ${inShort(message)}` });
    return element("li", {}, link);
  });
  details.querySelector("ul").replaceChildren(...items);
}
