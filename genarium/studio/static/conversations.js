// Earlier conversations, read from the ledger: of each, the reply that knows all of it.

import { api } from "./api.js";
import { el } from "./dom.js";

const READ = 100;

export function conversations() {
  const items = el("ul", {});
  const element = el("details", { class: "more earlier" }, el("summary", {}, "Earlier conversations"), items);

  async function renew() {
    const found = await api(`/v1/history?task=chat&limit=${READ}`).then((answer) => answer.data, () => []);
    const latest = longest(found);
    items.replaceChildren(...latest.map((entry) => el("li", {}, el("a", { href: `#/chat/${entry.id}` }, titleOf(entry)))));
    element.hidden = latest.length === 0;
  }
  return { element, renew };
}

/** Without the replies that a later one of the same conversation went on from. */
function longest(entries) {
  const gone = new Set();
  const made = [];
  for (const entry of entries) {
    const { messages, message } = entry.recipe.arguments;
    const before = messages ?? [];
    const said = [entry.text, ...(entry.edits ?? []).map((edit) => edit.text)];
    const whole = (content) => [...before, { role: "user", content: message }, { role: "assistant", content }];
    if (said.some((content) => gone.has(key(whole(content))))) continue;
    const all = whole(entry.text);
    for (let end = 2; end <= all.length; end += 2) gone.add(key(all.slice(0, end)));
    made.push(entry);
  }
  return made;
}

const key = (messages) => JSON.stringify(messages.map(({ role, content }) => [role, content]));

function titleOf({ recipe, created }) {
  const { messages, message } = recipe.arguments;
  const first = messages?.find((one) => one.role === "user")?.content ?? message;
  return `${first.slice(0, 70)} · ${new Date(created).toLocaleDateString()}`;
}
