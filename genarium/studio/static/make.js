// The first view: choose a task, say what is wanted, watch it form.

import { api, schemas } from "./api.js";
import { button, el, fresh, submits } from "./dom.js";
import { Form } from "./form.js";
import { again, start } from "./job.js";
import { addRun, list } from "./stream.js";

const REMEMBERED = 8;
const ORDER = ["text", "image", "video", "speak", "transcribe", "ask", "answer", "summarize", "classify", "caption", "explain", "stylize"];
const ELSEWHERE = ["chat"]; // it has a view of its own

const forms = new Map();
let view = null;
let chosen = null;

/** The view; with `from` an artefact's id, its recipe filled in. */
export async function make(from) {
  view ??= build();
  if (from) await reopen(from);
  return view;
}

function build() {
  const names = [...schemas.keys()].filter((name) => !ELSEWHERE.includes(name));
  names.sort((a, b) => rank(a) - rank(b));
  const group = fresh("task");
  const choices = names.map((name) => {
    const id = `${group}-${name}`;
    const input = el("input", { type: "radio", name: group, id, value: name, onchange: () => choose(name) });
    return [input, el("label", { for: id }, name)];
  });
  const form = el("form", { class: "card composer", novalidate: true, onsubmit: submit, onkeydown: submits });
  const tasks = el("fieldset", { class: "tasks" }, el("legend", {}, "What shall it do?"), choices.flat());
  const page = el("div", { class: "make" }, el("h1", { tabindex: -1 }, "Make"), tasks, form, list);
  view = page;
  const kept = remembered();
  choose(names.includes(kept) ? kept : names[0]);
  pickUp();
  return page;
}

const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

function choose(name) {
  chosen = name;
  const task = schemas.get(name);
  if (!forms.has(name)) forms.set(name, new Form(task));
  const form = forms.get(name);
  const place = view.querySelector("form.composer");
  const lead = el("p", { class: "lead" }, task.description.split("\n")[0]);
  const go = el("button", { class: "main", type: "submit" }, "Make");
  const hint = el("span", { class: "help" }, el("kbd", {}, "Ctrl"), " + ", el("kbd", {}, "Enter"));
  const changing = el("p", { class: "from help", hidden: true });
  place.replaceChildren(lead, changing, form.prompt.element, form.shown, ...(form.folded ? [form.folded] : []), form.wrong);
  place.append(el("div", { class: "go" }, go, hint));
  place.setAttribute("aria-label", name);
  showBase(form, changing);
  view.querySelector(`input[value="${CSS.escape(name)}"]`).checked = true;
  try {
    localStorage.task = name;
  } catch {
    // then it is forgotten
  }
}

function showBase(form, place) {
  if (!form.base) return;
  place.hidden = false;
  place.replaceChildren(`With the recipe of ${form.from}. `, button("Begin anew", () => (form.clear(), choose(chosen)), { class: "quiet" }));
}

async function submit(event) {
  event.preventDefault();
  const form = forms.get(chosen);
  const go = view.querySelector(".go .main");
  form.complain("");
  go.disabled = true;
  try {
    const job = form.base ? await again(form.from, await form.changes()) : await start(chosen, await form.values());
    const said = await form.prompt.value();
    addRun(job, { task: chosen, of: asked(said) });
    await remember(form, said);
  } catch (error) {
    form.complain(error.message);
  } finally {
    go.disabled = false;
  }
}

/** A task that knows a history is told of what was asked: the next question may refer to it. */
async function remember({ fields: { history } }, said) {
  if (history) history.set([...((await history.value()) ?? []), said].slice(-REMEMBERED));
}

const asked = (prompt) => [prompt ?? ""].flat().join(" | ").replace(/\s+/g, " ").slice(0, 160);

/** An artefact's recipe in the form. */
async function reopen(id) {
  const entry = await api(`/v1/artefacts/${encodeURIComponent(id)}`);
  if (!forms.has(entry.task)) forms.set(entry.task, new Form(schemas.get(entry.task)));
  const form = forms.get(entry.task);
  form.from = entry.id;
  form.fill(entry.recipe);
  choose(entry.task);
}

/** Jobs that were begun before the page was loaded are followed again. */
async function pickUp() {
  const jobs = await api("/v1/jobs").then((answer) => answer.data, () => []);
  for (const job of jobs.reverse()) if (["queued", "running"].includes(job.status)) addRun(job, { task: job.task });
}

function remembered() {
  try {
    return localStorage.task;
  } catch {
    return null;
  }
}

/** Where the keyboard goes on `/`. */
export const focusPrompt = () => forms.get(chosen)?.prompt.focus();
