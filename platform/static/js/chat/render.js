// What a message looks like. The same as templates/chat/_message.html, which stands there before scripts run.

const timeFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const QUOTED = 100;
const SIZES = "(max-width: 44rem) 80vw, 20rem";

/** Make an element: what begins with "data-" or "aria-" is an attribute, all else a property; children may be text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (/^(data|aria)-/.test(key) || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function timeOf(text) {
  const time = new Date(text);
  return element("time", { dateTime: text, textContent: timeFormat.format(time), title: time.toString() });
}

function contentOf(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // made safe by the server
  return template.content;
}

/** A message in a few words, for quotes and lists. */
export function inShort({ html, pictures, deleted_at: deletedAt }) {
  if (deletedAt) return "deleted";
  const line = contentOf(html).textContent.replace(/\s+/g, " ").trim();
  if (!line) return pictures?.length > 1 ? `${pictures.length} pictures` : "a picture";
  return line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
}

/**
 * @param {{room: string, me: number, find: (id: number) => object | undefined}} place  where it's shown, and to whom
 */
export function renderMessage(message, place) {
  const { id, sequence, author, client_id: clientId } = message;
  const isOwn = author.id === place.me;
  const item = element("li", {
    id: `message-${id}`,
    className: `chat-message${isOwn ? " own" : ""}${message.mentions.includes(place.me) ? " mentions-me" : ""}`,
    tabIndex: -1,
    "data-message": id,
    "data-sequence": sequence,
  });
  if (clientId) item.dataset.clientId = clientId;
  const address = `/chat/${place.room}/messages/${id}/`;
  const meta = element(
    "p",
    { className: "meta" },
    element("strong", { textContent: author.name }),
    " ",
    element("a", { href: address, className: "chat-time" }, timeOf(message.created_at)),
    message.edited_at && !message.deleted_at ? element("span", { className: "chat-mark", textContent: "edited" }) : null,
    message.pinned_at ? element("span", { className: "chat-mark", textContent: "pinned" }) : null,
  );
  const text = element("div", { className: "chat-text" }, message.reply_to ? replyTo(message.reply_to, place) : null, meta, bodyOf(message, place));
  if (message.pictures.length) text.append(picturesOf(message));
  const signs = Object.entries(message.reactions);
  if (signs.length) text.append(reactionsOf(signs, place.me));
  item.append(avatar(author.name), text);
  return item;
}

/** One's own message that isn't stored yet. */
export function renderPending({ clientId, body, pictures, replyTo: answered }, note, { name }, place) {
  const meta = element("p", { className: "meta" }, element("strong", { textContent: name }), " ", element("span", { textContent: note, "data-note": "" }));
  const words = element("div", { className: "chat-body plain", dir: "auto", textContent: body });
  const text = element("div", { className: "chat-text" }, answered ? replyTo(answered, place) : null, meta, words);
  if (pictures.length) text.append(element("p", { className: "meta", textContent: pictures.length === 1 ? "with a picture" : `with ${pictures.length} pictures` }));
  return element("li", { className: "chat-message own pending", "data-pending": clientId, tabIndex: -1 }, avatar(name), text);
}

function avatar(name) {
  return element("span", { className: "avatar", "aria-hidden": "true", textContent: (Array.from(name)[0] || "?").toUpperCase() });
}

function bodyOf({ html, body, deleted_at: deletedAt }, { me }) {
  const made = element("div", { className: "chat-body", dir: "auto" });
  if (deletedAt) made.append(element("em", { textContent: "deleted" }));
  else if (!html) made.textContent = body;
  else {
    const content = contentOf(html);
    for (const mention of content.querySelectorAll(`.mention[data-user="${Number(me)}"]`)) mention.classList.add("me");
    made.append(content);
  }
  return made;
}

function replyTo(id, { room, find }) {
  const answered = find(id);
  return element(
    "a",
    { className: "chat-reply", href: answered ? `#message-${id}` : `/chat/${room}/messages/${id}/`, "data-reply-to": id },
    element("span", { className: "visually-hidden", textContent: "Answers " }),
    answered ? `${answered.author.name}: ${inShort(answered)}` : "an earlier message",
  );
}

function picturesOf({ pictures, author }) {
  const shown = pictures.map(({ url, alt, width, height, srcset }) => {
    const image = element("img", { loading: "lazy", decoding: "async", width, height, alt: alt || `Picture of ${author.name}` });
    if (srcset) Object.assign(image, { sizes: SIZES, srcset });
    image.src = url;
    return element("a", { href: url }, image);
  });
  return element("div", { className: "chat-pictures" }, ...shown);
}

function reactionsOf(signs, me) {
  const buttons = signs.map(([sign, people]) => {
    const isMine = people.includes(me);
    const who = people.length === 1 ? "1 person" : `${people.length} people`;
    return element(
      "button",
      { type: "button", className: "chat-sign", "data-sign": sign, "aria-pressed": String(isMine), "aria-label": `${sign}, ${who}${isMine ? ", you too" : ""}` },
      `${sign} ${people.length}`,
    );
  });
  return element("p", { className: "chat-signs" }, ...buttons);
}
