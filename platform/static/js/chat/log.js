// A room's log as one client holds it: events applied in the order of their numbers, each once, gaps seen. It knows
// nothing of sockets or pages: frames go in, and what changed comes out.

/**
 * @typedef {{id: number, sequence: number, version: number, pinned_at: string | null}} Message  and all else of it
 * @typedef {{kind: "added" | "changed", message: Message} | {kind: "room", room: object} | {kind: "member", member: object} | {kind: "pins"}} Change
 * @typedef {{changes: Change[], fetchAfter: number | null}} Outcome  `fetchAfter`: the number to fetch after, where some are missing
 */

/**
 * Begin from a look at the room.
 * @param {{last_sequence: number, messages: Message[], pins?: Message[]}} snapshot
 */
export function createLog({ last_sequence: lastSequence, messages, pins = [] }) {
  let have = lastSequence; // all up to here is applied
  const known = new Map(messages.map((message) => [message.id, message]));
  const pinned = new Map(pins.map((message) => [message.id, message]));
  const aside = new Map(); // sequence → event, of those that came before what precedes them

  /** Put a message in its place, unless what is there is as new. */
  function put(message, mayAdd) {
    const before = known.get(message.id);
    const changes = pin(message);
    if (before ? before.version >= message.version : !mayAdd) return changes;
    known.set(message.id, message);
    return [{ kind: before ? "changed" : "added", message }, ...changes];
  }

  /** Pins are kept of messages that aren't shown as well. */
  function pin(message) {
    const before = pinned.get(message.id);
    if ((before ?? known.get(message.id))?.version >= message.version) return [];
    if (message.pinned_at) pinned.set(message.id, message);
    else if (!pinned.delete(message.id)) return [];
    return [{ kind: "pins" }];
  }

  function apply(event) {
    if (event.message) return put(event.message, event.type === "message.created");
    if (event.room_state) return [{ kind: "room", room: event.room_state }];
    if (event.member) return [{ kind: "member", member: event.member }];
    return []; // of something that is gone, or of a kind that isn't known here
  }

  function applyAside() {
    const changes = [];
    for (let event = aside.get(have + 1); event; event = aside.get(have + 1)) {
      have += 1;
      changes.push(...apply(event));
    }
    for (const sequence of aside.keys()) if (sequence <= have) aside.delete(sequence);
    return changes;
  }

  return {
    get have() {
      return have;
    },
    /** Take in a pushed event. @returns {Outcome} */
    receive(event) {
      if (event.sequence > have) aside.set(event.sequence, event);
      return { changes: applyAside(), fetchAfter: aside.size ? have : null };
    },
    /** Take in a frame `events`: all from `after` to `upto`. @returns {Outcome} */
    receiveFetched({ after, upto, last_sequence: newest, events }) {
      if (after > have) return { changes: [], fetchAfter: have }; // the answer to somebody else's question
      const changes = events.filter((event) => event.sequence > have).flatMap(apply);
      have = Math.max(have, upto);
      changes.push(...applyAside());
      return { changes, fetchAfter: aside.size || have < newest ? have : null };
    },
    /** Be told of the room's last number. @returns {Outcome} */
    hear(newest) {
      return { changes: [], fetchAfter: newest > have ? have : null };
    },
    /** Take in a message as an answer gave it: an edit of one's own is seen before its event comes. @returns {Change[]} */
    update(message) {
      return put(message, false);
    },
    /** Take in messages of before. @returns {Message[]} those that weren't there */
    addEarlier(earlier) {
      const fresh = earlier.filter((message) => !known.has(message.id));
      for (const message of fresh) known.set(message.id, message);
      return fresh;
    },
    /** Let go of messages that aren't shown any more; `addEarlier` brings them back. */
    forget(messages) {
      for (const { id } of messages) known.delete(id);
    },
    get(id) {
      return known.get(id);
    },
    messages() {
      return Array.from(known.values()).sort((one, other) => one.sequence - other.sequence);
    },
    /** What is pinned, the last one first. */
    pins() {
      return Array.from(pinned.values()).sort((one, other) => (one.pinned_at < other.pinned_at ? 1 : -1));
    },
  };
}
