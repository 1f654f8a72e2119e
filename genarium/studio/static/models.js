// Which models chat and text use, how blind comparisons came out, and the line of versions with what each learned from.

import { api } from "./api.js";
import { el, when } from "./dom.js";

export async function models() {
  const [line, totals] = await Promise.all([api("/v1/versions"), api("/v1/comparisons")]);
  return el(
    "div",
    { class: "models" },
    el("h1", { tabindex: -1 }, "Models"),
    el("section", { class: "card" }, el("h2", {}, "In use"), used(line.in_use)),
    el(
      "section",
      { class: "card" },
      el("h2", {}, "Which is better?"),
      totals.data.length ? compared(totals.data) : el("p", { class: "lead" }, "Two models answer the same, you say which answer is better, and then you see whose it is."),
      el("p", {}, el("a", { class: "button main", href: "#/blind" }, "Compare two, blind")),
    ),
    el("section", { class: "card" }, el("h2", {}, "Versions"), line.data.length ? versions(line.data) : nothing()),
  );
}

const nothing = () =>
  el("p", { class: "lead" }, "No model was aligned here yet. Rate, compare and edit answers; then the command genarium align makes a version that learned from them.");

function used(tasks) {
  const rows = Object.entries(tasks).map(([task, { model, since }]) =>
    el("tr", {}, el("th", { scope: "row" }, task), el("td", {}, model, since ? el("span", { class: "facts" }, " since ", when(since)) : null)),
  );
  return el("table", { class: "recipe" }, el("tbody", {}, rows));
}

function compared(all) {
  const rows = all.map((one) =>
    el(
      "tr",
      {},
      el("td", {}, one.model),
      el("td", {}, one.other),
      el("td", {}, share(one), " ", el("span", { class: "facts" }, `of ${one.count}, interval ${percent(one.low)} to ${percent(one.high)}`)),
    ),
  );
  const head = el("tr", {}, ["model", "against", "was better in"].map((name) => el("th", { scope: "col" }, name)));
  const help = el("p", { class: "help" }, "Where neither is better it counts half for each. The interval holds the true share with 95 % confidence.");
  return el("div", {}, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, rows))), help);
}

export const percent = (share) => `${Math.round(100 * share)} %`;
const share = ({ win_rate }) => el("strong", {}, percent(win_rate));

function versions(line) {
  return el("ol", { class: "line" }, line.map(version));
}

function version(one) {
  const facts = [
    ["over", named(one.parents)],
    ["learned from", learned(one.learned_from)],
    ["against", named(one.rewards)],
    ...Object.entries(one.figures).map(([figure, value]) => [figure.replaceAll("_", " "), Number.isInteger(value) ? value : value.toPrecision(4)]),
  ].filter(([, value]) => value !== "");
  const rows = facts.map(([term, value]) => el("tr", {}, el("th", { scope: "row" }, term), el("td", {}, value)));
  return el(
    "li",
    { id: `version-${one.id}` },
    el(
      "h3",
      {},
      el("span", { class: "badge" }, one.method),
      " ",
      one.id,
      one.promoted_for.map((task) => [" ", el("span", { class: "badge used" }, `${task} uses it`)]).flat(),
    ),
    el("p", { class: "facts" }, when(one.created), one.is_here ? null : " · its folder is gone"),
    el("table", { class: "recipe" }, el("tbody", {}, rows)),
  );
}

/** What people said and edited here goes by the file that align wrote it into: ledger-TASK-KIND-DIGEST. */
function learned({ kind, count, name = "" }) {
  if (!kind) return "";
  const [, task] = /^ledger-(\w+)-/.exec(name) ?? [];
  return `${count} ${kind} ${task ? `of ${task}, rated or edited here` : `of ${name}`}`;
}

const named = (all) => all.map(({ model, label }) => (label ? `${model} (${label})` : model)).join(", ");
