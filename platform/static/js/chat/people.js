// Who is in the room, and who types there: told, believed for a while, and forgotten.

const SHOWN_TYPING = 3;

/** Names as a sentence has them: "Ann", "Ann and Bob", "Ann, Bob and 3 others". */
export function inWords(names, most = SHOWN_TYPING) {
  const shown = names.slice(0, most);
  const others = names.length - shown.length;
  if (others) shown.push(others === 1 ? "1 other" : `${others} others`);
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/**
 * Keep who types.
 * @param {(names: string[]) => void} onChange
 */
export function createTyping(onChange) {
  const typing = new Map(); // id → {name, timer}

  const forget = (id) => {
    const one = typing.get(id);
    if (!one) return;
    window.clearTimeout(one.timer);
    typing.delete(id);
    tell();
  };
  const tell = () => onChange(Array.from(typing.values(), (one) => one.name));

  return {
    hear({ user, seconds }) {
      window.clearTimeout(typing.get(user.id)?.timer);
      typing.set(user.id, { name: user.name, timer: window.setTimeout(() => forget(user.id), seconds * 1000) });
      tell();
    },
    forget,
    forgetAll() {
      for (const id of Array.from(typing.keys())) forget(id);
    },
  };
}

/** Show who is here in a `<details data-here>`; null where nobody knows. */
export function showHere(element, presence) {
  if (!element) return;
  element.hidden = !presence;
  if (!presence) return;
  const { here, count } = presence;
  element.querySelector("summary").textContent = `${count} here`;
  const list = element.querySelector("ul");
  list.replaceChildren(
    ...here.map(({ name }) => {
      const item = document.createElement("li");
      item.textContent = name;
      return item;
    }),
  );
  if (count > here.length) {
    const item = document.createElement("li");
    item.textContent = `and ${count - here.length} more`;
    list.append(item);
  }
}
