// One artefact: the thing itself, its recipe, its ratings, and what can be made of it.

import { actions } from "./actions.js";
import { api, isSeeded, schemas } from "./api.js";
import { asked, edited, facts, shown } from "./artefact.js";
import { el, when } from "./dom.js";

export async function detail(id) {
  const entry = await api(`/v1/artefacts/${encodeURIComponent(id)}`);
  const { recipe } = entry;
  const seed = isSeeded(entry.task) ? recipe.seed : null;
  const text = edited(entry, entry.task);
  return el(
    "article",
    { class: "detail" },
    el("h1", { tabindex: -1 }, el("span", { class: "badge" }, entry.task), " ", short(asked(entry) || entry.title || entry.kind)),
    el("p", { class: "facts" }, facts({ model: recipe.model?.reference, seconds: entry.stats.seconds, seed }), " · ", when(entry.created)),
    el("section", { class: "card" }, text?.element ?? shown(entry, recipe), actions(entry, { task: entry.task, known: entry.ratings, edit: text?.edit, open: false })),
    entry.notes.length ? el("ul", { class: "notes" }, entry.notes.map((note) => el("li", {}, note))) : null,
    el(
      "section",
      { class: "card" },
      el("h2", {}, "Recipe"),
      el("p", {}, el("a", { class: "button main", href: `#/make/${entry.id}` }, "Change it and make that")),
      recipeTable(recipe),
      el("details", { class: "more" }, el("summary", {}, "As JSON"), el("pre", {}, JSON.stringify(recipe, null, 2))),
    ),
    entry.ratings.length ? ratings(entry.ratings) : null,
  );
}

const short = (title) => (title.length > 120 ? `${title.slice(0, 120)}…` : title);

/** What was asked for; the task's own defaults are in the JSON. */
function recipeTable(recipe) {
  const usual = (name) => schemas.get(recipe.task)?.properties[name]?.default ?? null;
  const rows = [
    ...Object.entries(recipe.arguments).filter(([name, value]) => value !== usual(name)),
    ...(recipe.model ? [["model", recipe.model.reference], ["digest", recipe.model.digest.slice(0, 16)]] : []),
    ...(isSeeded(recipe.task) ? [["seed", recipe.seed]] : []),
  ];
  const cells = rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name.replaceAll("_", " ")), el("td", {}, told(value))));
  return el("table", { class: "recipe" }, el("tbody", {}, cells));
}

/** A recipe's value in words: a file by its content, an index by its name. */
export function told(value) {
  if (Array.isArray(value)) return value.map(told).join("\n");
  if (value !== null && typeof value === "object") {
    if (value.name ?? value.reference) return value.name ?? value.reference;
    if (value.sha256) return `a file, sha256 ${value.sha256.slice(0, 16)}`;
    if (value.role) return `${value.role}: ${value.content}`;
    return JSON.stringify(value);
  }
  return String(value);
}

function ratings(all) {
  const lines = all.map((one) => {
    const verdict =
      one.other ? [one.scale === "better" ? "better than " : "as good as ", el("a", { href: `#/artefact/${one.other}` }, one.other)]
      : one.scale === "thumb" ? [one.value === 1 ? "good" : "bad"]
      : [`${one.value} of 5`];
    return el("li", {}, ...verdict, one.note ? `: ${one.note}` : "", " · ", new Date(one.created).toLocaleString());
  });
  return el("section", { class: "card" }, el("h2", {}, "Ratings"), el("ul", {}, lines));
}
