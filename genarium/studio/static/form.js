// A task's form, built from its signature: the prompt large, what people often set in sight, the rest folded away.

import { el } from "./dom.js";
import { field } from "./fields.js";

// Names are shared by all tasks, so that a new task's common options are in sight without a word here. Of the second
// row those that have a value of their own: the others are for some models only.
const CONTENT = ["context", "caption", "against", "labels", "passages", "index", "photo", "file", "model", "n", "size", "frames", "fps", "system"];
const SETTINGS = ["seconds", "sentences", "max_new_tokens", "temperature"];

/** `hidden` are properties that the view gives itself; `prompt: false` leaves the first property out. */
export class Form {
  constructor(task, { hidden = [] } = {}) {
    this.task = task;
    this.fields = {};
    const names = Object.keys(task.properties).filter((name) => !hidden.includes(name));
    for (const name of names) this.fields[name] = field(name, task.properties[name], task);
    this.base = this.from = null; // the recipe it was filled with, and whose that is
    const first = Object.keys(task.properties)[0];
    const prompt = hidden.includes(first) ? null : this.fields[first];
    const required = names.filter((name) => task.required.includes(name) && name !== first);
    const settled = SETTINGS.filter((name) => (task.properties[name]?.default ?? null) !== null);
    const common = [...CONTENT, ...settled].filter((name) => names.includes(name) && name !== first);
    const inSight = [...new Set([...required, ...common])];
    const folded = names.filter((name) => name !== first && !inSight.includes(name));
    this.prompt = prompt;
    if (prompt) {
      prompt.element.classList.add("prompt");
      // What it is for is read in the box itself.
      prompt.element.querySelector("textarea")?.setAttribute("placeholder", prompt.element.querySelector(".help").textContent);
    }
    this.wrong = el("p", { class: "wrong", role: "alert" });
    this.shown = el("div", { class: "options brief" }, inSight.map((name) => this.fields[name].element));
    this.folded = folded.length
      ? el(
          "details",
          { class: "more" },
          el("summary", {}, `More options (${folded.length})`),
          el("div", { class: "options" }, folded.map((name) => this.fields[name].element)),
        )
      : null;
  }

  /** What differs from the task's defaults. Throws Error with a sentence. */
  async values() {
    const found = {};
    for (const [name, one] of Object.entries(this.fields)) {
      const value = await one.value();
      if (value !== undefined && value !== this.task.properties[name].default) found[name] = value;
    }
    return found;
  }

  /** Fill in a recipe; then `changes` tells what was made other than it. */
  fill(recipe) {
    const all = { ...recipe.arguments, model: recipe.model?.reference, seed: recipe.seed };
    for (const [name, one] of Object.entries(this.fields)) {
      const value = all[name];
      const pinned = isPin(value) && named(value) === null;
      one.set(pinned ? undefined : value);
      if (pinned) one.element.querySelector(".file-name")?.append("as in the recipe");
    }
    this.base = all;
    if (this.folded) this.folded.open = false;
  }

  async changes() {
    const found = {};
    for (const [name, one] of Object.entries(this.fields)) {
      const before = this.base[name];
      const value = (await one.value()) ?? this.task.properties[name].default ?? null;
      const was = named(before) ?? before ?? null;
      if (isPin(before) && named(before) === null && value === null) continue;
      if (JSON.stringify(value) !== JSON.stringify(was)) found[name] = value;
    }
    return found;
  }

  clear() {
    this.base = null;
    for (const [name, one] of Object.entries(this.fields)) one.set(this.task.properties[name].default);
  }

  /** Show what is wrong, beside the field that the sentence names. */
  complain(sentence) {
    this.wrong.textContent = sentence;
    const named = Object.values(this.fields).find((one) => new RegExp(`^(\\w+ needs )?${one.name}\\b`).test(sentence));
    if (!named) return;
    if (this.folded?.contains(named.element)) this.folded.open = true;
    named.focus();
  }
}

/** The names of what a recipe names by name and content, as the form gives them; null of anything else. */
function named(value) {
  const names = [value].flat().map((one) => (isPin(one) ? one.name : null));
  return names.length && names.every(Boolean) ? names : null;
}

/** Files and the like, which a recipe names by their content. */
const isPin = (value) =>
  Array.isArray(value) ? value.some(isPin) : value !== null && typeof value === "object" && "sha256" in value;

