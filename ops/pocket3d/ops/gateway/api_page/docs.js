"use strict";
// Shows openapi.json, which the gateway itself serves: nothing is loaded from elsewhere.

function make(tag, text, ...children) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

/** The schema with its references put in, as far as they do not go in a circle. */
function whole(schema, document_, above = []) {
  if (Array.isArray(schema)) return schema.map((each) => whole(each, document_, above));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    if (above.includes(name)) return { $ref: name };
    return whole(document_.components.schemas[name], document_, [...above, name]);
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, whole(value, document_, above)]));
}

function schemaOf(content, document_) {
  const json = content && content["application/json"];
  return json ? JSON.stringify(whole(json.schema, document_), null, 2) : null;
}

async function send(method, path, parameters, body, output) {
  const query = new URLSearchParams();
  let target = path;
  for (const { name, where, input } of parameters) {
    if (where === "path") target = target.replace(`{${name}}`, input.value.split("/").map(encodeURIComponent).join("/"));
    else if (input.value) query.set(name, input.value);
  }
  const headers = {};
  const token = document.getElementById("token").value;
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(target + (query.size ? `?${query}` : ""), { method, headers, body: body || undefined });
  const text = (answer.headers.get("content-type") || "").includes("json") ? await answer.text() : "";
  output.textContent = `${answer.status} ${answer.statusText}\n${text}`;
}

function operation(method, path, what, document_) {
  const summary = make("summary", "", make("b", method.toUpperCase()), make("code", path));
  const right = make("span", what["x-right"] === "open" ? "" : what["x-right"]);
  right.className = "right";
  summary.append(right);
  const box = make("details", "", summary, make("p", what.description || what.summary));
  const parameters = [];
  const table = make("table");
  for (const parameter of what.parameters || []) {
    const input = make("input");
    input.setAttribute("aria-label", parameter.name);
    parameters.push({ name: parameter.name, where: parameter.in, input });
    table.append(make("tr", "", make("td", "", make("code", parameter.name)), make("td", parameter.in), make("td", "", input)));
  }
  if (parameters.length) box.append(table);
  const wanted = schemaOf(what.requestBody && what.requestBody.content, document_);
  let body = null;
  if (wanted) {
    body = make("textarea");
    body.setAttribute("aria-label", "JSON of the request");
    body.rows = 5;
    box.append(make("p", "JSON of the request:"), body, make("details", "", make("summary", "its schema"), make("pre", wanted)));
  }
  for (const [code, answer] of Object.entries(what.responses || {})) {
    const schema = schemaOf(answer.content, document_);
    if (schema && code !== "default") box.append(make("details", "", make("summary", `answer ${code}`), make("pre", schema)));
  }
  const streams = JSON.stringify(what.responses || {}).includes("text/event-stream");
  if (!streams) {
    const output = make("pre");
    const button = make("button", "send");
    button.addEventListener("click", () => send(method.toUpperCase(), path, parameters, body && body.value, output)
      .catch((error) => { output.textContent = String(error); }));
    box.append(button, output);
  }
  return box;
}

async function show() {
  const document_ = await (await fetch("/openapi.json")).json();
  document.getElementById("version").textContent = document_.info.version;
  const routes = document.getElementById("routes");
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, what] of Object.entries(methods)) {
      const tag = (what.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, make("section", "", make("h2", tag)));
      groups.get(tag).append(operation(method, path, what, document_));
    }
  }
  routes.replaceChildren(...groups.values());
}

show();
