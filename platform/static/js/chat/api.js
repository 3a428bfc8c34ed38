// The chat's API, as its pages call it.

const token = () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";

/**
 * Call the API.
 * @returns {Promise<object | null>} what it answers
 * @throws {Error} whose message says what is wrong, to be shown
 */
export async function call(path, { method = "GET", body } = {}) {
  const headers = { Accept: "application/json", "X-CSRFToken": token() };
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/api/chat/${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Error("The server can't be reached. Try again once you are connected.");
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok) return told;
  throw new Error(Object.values(told?.errors ?? {}).flat().join(" ") || told?.detail || `The server answered ${answer.status}.`);
}

/** The path of a message below `/api/chat/`. */
export const messagePath = (room, id, rest = "") => `rooms/${encodeURIComponent(room)}/messages/${id}/${rest}`;
