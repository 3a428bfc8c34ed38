// Pictures in the editor of posts: pasted, dropped or chosen, uploaded, and put into the text once they're ready.

const UPLOADS = "/api/images/";
const ASK_MILLISECONDS = 700;
const LONGEST_MILLISECONDS = 120_000;
let count = 0;

// Watch `text`, a textarea, and tell by `say` what becomes of each picture; `button` opens the file chooser.
export function takePictures(text, button, token, say) {
  const take = (files) => {
    for (const file of files) add(file);
  };

  const put = (words) => {
    text.setRangeText(words, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const replace = (old, words) => {
    const start = text.value.indexOf(old);
    if (start < 0) return; // taken out meanwhile
    text.setRangeText(words, start, start + old.length, "preserve");
    text.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const add = async (file) => {
    const name = file.name.replace(/\.[^.]*$/, "").replace(/[[\]\\`\n]/g, " ").trim();
    count += 1;
    const place = `<!-- uploading ${count}: ${name.replace(/-+/g, "-")} -->`;
    put(place);
    say(`${file.name} is being uploaded.`);
    try {
      const picture = await upload(file, token);
      replace(place, `![${name}](${new URL(picture.url, location.href).pathname})`);
      say(`${file.name} is in the text. Between its brackets, say what it shows.`);
    } catch (error) {
      replace(place, "");
      say(`${file.name} isn't in the text: ${error.message}`);
    }
  };

  text.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
  text.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  text.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });

  const chooser = document.createElement("input");
  chooser.type = "file";
  chooser.accept = "image/*";
  chooser.multiple = true;
  chooser.addEventListener("change", () => {
    take(chooser.files);
    chooser.value = "";
    text.focus();
  });
  button.hidden = false;
  button.addEventListener("click", () => chooser.click());
}

/**
 * Upload a picture and wait until it's ready.
 * @param {string} [alt] what it shows, for those who can't see it
 */
export async function upload(file, token, alt = "") {
  const data = new FormData();
  data.set("file", file);
  data.set("alt", alt);
  let picture = await ask(UPLOADS, { method: "POST", body: data, headers: { "X-CSRFToken": token } });
  const end = Date.now() + LONGEST_MILLISECONDS;
  while (picture.state === "waiting" || picture.state === "processing") {
    if (Date.now() > end) throw new Error("it isn't ready yet; you'll find it among your pictures.");
    await new Promise((resolve) => setTimeout(resolve, ASK_MILLISECONDS));
    picture = await ask(`${UPLOADS}${picture.id}/`);
  }
  if (picture.state !== "ready") throw new Error(picture.message || `it's ${picture.state}.`);
  return picture;
}

async function ask(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(Object.values(told.errors || {}).flat().join(" ") || told.detail || `answered ${answer.status}`);
  return told;
}
