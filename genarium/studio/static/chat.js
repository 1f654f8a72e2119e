// A conversation: what was said is in the ledger, as the recipe of its last reply; nothing is kept here.

import { api, inUse, schemas } from "./api.js";
import { shortName } from "./artefact.js";
import { Bubble } from "./bubble.js";
import { conversations } from "./conversations.js";
import { button, el, fresh, grows } from "./dom.js";
import { Form } from "./form.js";
import { start } from "./job.js";

// A starter that was not taught to talk continues a transcript, in its small context.
const WRITER = { template: "plain", max_new_tokens: 100 };

let view = null;
let last = null;

/** The view; with `id` the conversation that the reply of that id is in. */
export async function chat(id) {
  if (!schemas.has("chat")) return el("div", {}, el("h1", { tabindex: -1 }, "Chat"), el("p", {}, "This server has no chat."));
  if (!view || (id && id !== last)) {
    const entry = id ? await api(`/v1/artefacts/${encodeURIComponent(id)}`) : null;
    view = build(entry);
  }
  last = id ?? last;
  await view.list.renew();
  return view.page;
}

function build(entry) {
  const form = new Form(schemas.get("chat"), { hidden: ["message", "messages", "n", "json_schema", "logprobs"] });
  const log = el("div", { class: "log", role: "log", "aria-live": "off", "aria-label": "Conversation" });
  const id = fresh("say");
  const box = grows(el("textarea", { id, rows: 1, placeholder: "Say something", onkeydown: keys }));
  const send = el("button", { class: "main", type: "submit" }, "Send");
  const empty = el("p", { class: "lead" }, "Say something to begin. The model remembers what is said on this page.");
  const list = conversations();
  let turns = []; // {role, content}, and of the assistant's the bubble
  let busy = false;

  const named = el("summary", {}, "Model and options");
  const settings = el("details", { class: "more settings", onchange: nameModel }, named, form.shown, form.folded);
  const page = el(
    "div",
    { class: "chat" },
    el("header", {}, el("h1", { tabindex: -1 }, "Chat"), button("New conversation", renew, { class: "quiet" })),
    list.element,
    settings,
    log,
    el(
      "form",
      { class: "card say", onsubmit: submit },
      el("label", { for: id, class: "hidden" }, "Message"),
      box,
      send,
      form.wrong,
    ),
    el("p", { class: "help" }, el("kbd", {}, "Enter"), " sends, ", el("kbd", {}, "Shift"), " + ", el("kbd", {}, "Enter"), " begins a line"),
  );
  log.append(empty);
  if (entry) recall(entry);
  nameModel();

  async function nameModel() {
    const chosen = await form.fields.model.value();
    const model = chosen === "starter" ? ((await inUse("chat")) ?? chosen) : chosen;
    named.textContent = model ? `Talking with ${shortName(model)}. Model and options` : "Choose a model to talk with";
    settings.open ||= !model;
  }

  function renew() {
    last = null;
    view = null;
    if (location.hash === "#/chat") dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = "#/chat";
  }

  function recall({ recipe, ...reply }) {
    form.fill(recipe);
    form.base = null;
    const before = recipe.arguments.messages ?? [];
    for (const { role, content } of [...before, { role: "user", content: recipe.arguments.message }]) add(role, content);
    const bubble = addReply();
    bubble.finish(reply, { model: recipe.model?.reference, seconds: reply.stats.seconds, seed: recipe.seed });
  }

  function add(role, content) {
    empty.remove();
    turns.push({ role, content });
    if (content !== null) log.append(el("div", { class: `turn ${role}` }, el("p", { class: "who" }, role === "user" ? "You" : "Model"), el("p", { class: "prose" }, content)));
  }

  function addReply() {
    const bubble = new Bubble();
    add("assistant", null);
    const turn = turns.at(-1);
    bubble.onchoose = (reply) => (turn.content = reply.text);
    log.append(bubble.element);
    return bubble;
  }

  async function submit(event) {
    event.preventDefault();
    const message = box.value.trim();
    if (!message || busy) return;
    busy = true;
    send.disabled = true;
    form.complain("");
    try {
      const given = await form.values();
      const messages = turns.map(({ role, content }) => ({ role, content }));
      const usual = /^starter\/(?!chat)/.test(given.model ?? "") ? WRITER : {};
      const job = await start("chat", { ...usual, ...given, message, ...(messages.length ? { messages } : {}) });
      add("user", message);
      box.value = "";
      box.dispatchEvent(new Event("input"));
      const bubble = addReply();
      bubble.element.scrollIntoView({ block: "nearest" });
      const problem = await bubble.follow(job);
      if (problem) takeBack(message, problem);
      else list.renew();
    } catch (error) {
      form.complain(error.message);
      settings.open = true;
    } finally {
      busy = false;
      send.disabled = false;
      box.focus();
    }
  }

  /** No reply came: what was said can be said again. */
  function takeBack(message, problem) {
    turns = turns.slice(0, -2);
    for (const one of [...log.querySelectorAll(".turn")].slice(-2)) one.remove();
    box.value = message;
    form.complain(problem);
    settings.open = true;
  }

  function keys(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.currentTarget.form.requestSubmit();
  }

  return { page, list };
}
