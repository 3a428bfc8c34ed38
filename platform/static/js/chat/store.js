// What the browser keeps for one person and room: drafts and messages that aren't sent yet. Where it keeps nothing
// (a private window, a full disk), all works but for what a reload should find.

const attempt = (action) => {
  try {
    return action();
  } catch {
    return null;
  }
};

/** @returns {string[]} the names of all that is kept and begins so */
export const keptNames = (beginning, storage = null) =>
  (attempt(() => Object.keys(storage ?? window.localStorage)) || []).filter((name) => name.startsWith(beginning));

/** Forget all that begins so, but what begins with `spared`. */
export function forgetKept(beginning, spared = null) {
  for (const name of keptNames(beginning)) if (spared === null || !name.startsWith(spared)) attempt(() => window.localStorage.removeItem(name));
}

/**
 * @param {string} prefix such as "chat:7:lobby:"; other prefixes aren't seen
 * @param {Storage} [storage]
 */
export function createStore(prefix, storage = window.localStorage) {
  return {
    get(name) {
      return attempt(() => JSON.parse(storage.getItem(prefix + name)));
    },
    set(name, value) {
      attempt(() => storage.setItem(prefix + name, JSON.stringify(value)));
    },
    remove(name) {
      attempt(() => storage.removeItem(prefix + name));
    },
    /** @returns {string[]} the names that begin so */
    names(beginning) {
      return keptNames(prefix + beginning, storage).map((name) => name.slice(prefix.length));
    },
  };
}
