// Shows the OpenAPI schema as a list of operations, with a form for each GET. Loads nothing but the schema.

const root = document.getElementById("api-docs");
const status = document.getElementById("api-status");
const list = document.getElementById("api-operations");
const METHODS = ["get", "post", "put", "patch", "delete"];
const LONGEST_ANSWER = 100_000;

/** Make an element; strings become text, so nothing of the schema is ever read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== ""));
  return made;
}

/** Follow a `$ref` within the schema. */
function resolve(schema, node) {
  const path = node?.$ref?.replace(/^#\//, "").split("/");
  return path ? path.reduce((at, key) => at?.[key], schema) : node;
}

/** Say a type in a few characters, such as `string (date-time)` or `Post[]`. */
function typeOf(node) {
  if (!node) return "";
  if (node.$ref) return node.$ref.split("/").pop();
  if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (node.type === "array") return `${typeOf(node.items)}[]`;
  const parts = node.allOf ?? node.oneOf ?? node.anyOf;
  if (parts) return parts.map(typeOf).filter(Boolean).join(" | ");
  const type = Array.isArray(node.type) ? node.type.join(" | ") : (node.type ?? "any");
  return node.format ? `${type} (${node.format})` : type;
}

function table(caption, head, rows) {
  if (!rows.length) return "";
  return element(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      { class: "table" },
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))),
    ),
  );
}

function fieldRows(schema, node) {
  const resolved = resolve(schema, node) ?? {};
  const target = resolved.type === "array" ? (resolve(schema, resolved.items) ?? {}) : resolved;
  const required = new Set(target.required ?? []);
  return Object.entries(target.properties ?? {}).map(([name, property]) => [
    element("code", {}, name),
    typeOf(property) + (required.has(name) ? ", required" : "") + (property.readOnly ? ", read-only" : ""),
    property.description ?? "",
  ]);
}

function contentOf(body) {
  return Object.values(body?.content ?? {})[0]?.schema;
}

/** A form that sends the GET with the browser's session, and shows what came back. */
function tryForm(path, parameters, id) {
  const output = element("pre", { class: "code", hidden: true, tabindex: "0", "aria-label": "Answer" });
  const result = element("p", { role: "status" });
  const inputs = parameters.map((parameter) => {
    const inputId = `${id}-${parameter.name}`;
    const input = element("input", { id: inputId, name: parameter.name, required: parameter.required, autocomplete: "off" });
    input.dataset.place = parameter.in;
    return element("p", { class: "field" }, element("label", { for: inputId }, parameter.name), input);
  });
  const form = element("form", { class: "form" }, ...inputs, element("button", { class: "button" }, "Send"), result, output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let address = path;
    const query = new URLSearchParams();
    for (const input of form.querySelectorAll("input")) {
      if (input.dataset.place === "path") address = address.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.append(input.name, input.value);
    }
    const url = query.size ? `${address}?${query}` : address;
    result.textContent = `GET ${url} …`;
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      const text = await answer.text();
      result.textContent = `GET ${url}: ${answer.status} ${answer.statusText}, request ${answer.headers.get("X-Request-ID") ?? "?"}`;
      output.textContent = readable(text);
    } catch (error) {
      result.textContent = `GET ${url} failed: ${error.message}`;
      output.textContent = "";
    }
    output.hidden = !output.textContent;
  });
  return element("details", {}, element("summary", {}, "Try it"), form);
}

function readable(text) {
  const cut = (whole) => (whole.length > LONGEST_ANSWER ? `${whole.slice(0, LONGEST_ANSWER)}\n…` : whole);
  try {
    return cut(JSON.stringify(JSON.parse(text), null, 2));
  } catch {
    return cut(text);
  }
}

function operationView(schema, path, method, operation, shared) {
  const id = `${method}${path.replace(/[^a-z0-9]+/gi, "-")}`;
  const parameters = [...shared, ...(operation.parameters ?? [])].map((one) => resolve(schema, one));
  const inAddress = parameters.filter((parameter) => parameter.in === "path" || parameter.in === "query");
  const body = contentOf(resolve(schema, operation.requestBody));
  const answers = Object.entries(operation.responses ?? {}).map(([code, answer]) => {
    const content = contentOf(resolve(schema, answer));
    return [element("code", {}, code), content ? typeOf(content) : "", answer.description ?? ""];
  });
  const ok = contentOf(resolve(schema, Object.entries(operation.responses ?? {}).find(([code]) => code.startsWith("2"))?.[1]));
  const rows = ok ? fieldRows(schema, resolve(schema, ok)?.properties?.results ?? ok) : [];
  const view = element(
    "details",
    { class: "api-operation", id },
    element("summary", {}, element("code", { class: `api-method api-method-${method}` }, method.toUpperCase()), " ", element("code", {}, path)),
    element("p", {}, operation.description ?? operation.summary ?? ""),
    table("Parameters", ["Name", "Type", "Meaning"], inAddress.map((parameter) => [
      element("code", {}, parameter.name),
      typeOf(parameter.schema) + (parameter.required ? ", required" : ""),
      parameter.description ?? "",
    ])),
    table("Body", ["Field", "Type", "Meaning"], body ? fieldRows(schema, body) : []),
    table("Answers", ["Status", "Type", "Meaning"], answers),
    table("Fields of the answer", ["Field", "Type", "Meaning"], rows),
    method === "get" ? tryForm(path, inAddress, id) : "",
  );
  view.dataset.words = `${method} ${path} ${operation.description ?? ""}`.toLowerCase();
  return view;
}

function show(schema) {
  const byTag = new Map();
  for (const [path, item] of Object.entries(schema.paths ?? {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags?.[0] ?? "other";
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(operationView(schema, path, method, item[method], item.parameters ?? []));
    }
  }
  for (const [tag, views] of [...byTag].sort(([a], [b]) => a.localeCompare(b))) {
    const heading = `tag-${tag}`;
    list.append(element("section", { "aria-labelledby": heading }, element("h2", { id: heading }, tag), ...views));
  }
  filter("");
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) target.open = true;
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const section of list.children) {
    const views = [...section.querySelectorAll(".api-operation")];
    for (const view of views) view.hidden = !words.every((word) => view.dataset.words.includes(word));
    const visible = views.filter((view) => !view.hidden).length;
    section.hidden = visible === 0;
    shown += visible;
  }
  status.textContent = `${shown} operation${shown === 1 ? "" : "s"}`;
}

document.getElementById("api-filter").addEventListener("input", (event) => filter(event.target.value));
try {
  const answer = await fetch(root.dataset.schemaUrl, { headers: { Accept: "application/vnd.oai.openapi+json" } });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  status.textContent = `The schema can't be shown: ${error.message}.`;
}
