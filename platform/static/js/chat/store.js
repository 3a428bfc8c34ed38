// What the browser keeps for one person and room: drafts and messages that aren't sent yet. Where it keeps nothing
// (a private window, a full disk), all works but for what a reload should find.

/**
 * @param {string} prefix such as "chat:7:lobby:"; other prefixes aren't seen
 * @param {Storage} [storage]
 */
export function createStore(prefix, storage = window.localStorage) {
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return null;
    }
  };
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
      const keys = attempt(() => Object.keys(storage)) || [];
      return keys.filter((key) => key.startsWith(prefix + beginning)).map((key) => key.slice(prefix.length));
    },
  };
}
