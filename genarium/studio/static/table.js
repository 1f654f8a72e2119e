// Rows of results: words as text, probabilities as bars, the words of an answer marked in their text.

import { text as textOf } from "./api.js";
import { el } from "./dom.js";

const SHOWN_ROWS = 200;
const READ = 2_000_000; // characters of a table's file

/** A table of an artefact's rows, which are read from its file where they are not at hand. */
export function table(artefact, recipe) {
  const place = el("div", { class: "rows" });
  const show = (rows, cut) => {
    place.replaceChildren(...drawn(rows.slice(0, SHOWN_ROWS), recipe));
    if (cut || rows.length > SHOWN_ROWS) place.append(el("p", { class: "help" }, "There are more rows in the file."));
  };
  if (artefact.rows) show(artefact.rows, false);
  else {
    place.append(el("p", { class: "help" }, "Reading the rows …"));
    textOf(artefact.url, READ).then(({ text, cut }) => {
      const lines = text.split("\n").filter(Boolean);
      show((cut ? lines.slice(0, -1) : lines).map((line) => JSON.parse(line)), cut);
    }).catch((error) => place.replaceChildren(el("p", { class: "wrong" }, error.message)));
  }
  return place;
}

function drawn(rows, recipe) {
  const counts = rows.length > 1 && rows[0]?.label !== undefined ? [tally(rows)] : [];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "answers");
  const head = el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name.replaceAll("_", " "))));
  const body = rows.map((row) => el("tr", {}, columns.map((name) => el("td", {}, cell(row[name])))));
  const whole = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows" });
  whole.append(el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
  return [...counts, whole, ...marked(rows, recipe)];
}

function cell(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return isShare(value) ? bar(value) : String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) return numbers(value) ?? value.map(cell);
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .sort(([, a], [, b]) => (typeof b === "number" && typeof a === "number" ? b - a : 0))
    .map(([name, one]) => el("div", { class: "pair" }, el("span", {}, name), el("span", {}, cell(one))));
}

const isShare = (value) => value >= 0 && value <= 1 && !Number.isInteger(value);

const gauge = (share) => el("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" });

const bar = (share) => el("span", { class: "share" }, gauge(share), ` ${share.toFixed(3)}`);

/** A vector is told by its first numbers. */
function numbers(list) {
  if (list.length < 8 || !list.every((one) => typeof one === "number")) return null;
  return `${list.slice(0, 4).map((one) => one.toFixed(4)).join(" ")} … (${list.length} numbers)`;
}

function tally(rows) {
  const counts = new Map();
  for (const { label } of rows) if (label !== null) counts.set(label, (counts.get(label) ?? 0) + 1);
  const lines = [...counts].sort(([, a], [, b]) => b - a).map(([label, count]) =>
    el("div", { class: "pair" }, el("span", {}, String(label)), el("span", {}, gauge(count / rows.length), ` ${count}`)),
  );
  return el("div", { class: "tally" }, lines);
}

/** The text that was asked about, the answers marked in it. Characters are counted as Python does, by code point. */
function marked(rows, recipe) {
  const context = recipe?.arguments?.context;
  const spans = rows.filter((row) => row.answer && Number.isInteger(row.start) && Number.isInteger(row.end));
  if (typeof context !== "string" || !spans.length || context.length > 50_000) return [];
  return [el("p", { class: "prose" }, ...pieces(context, spans.map((row) => [row.start, row.end])))];
}

/** A text with the code points [start, end) of each span in a mark. */
export function pieces(text, spans) {
  const letters = Array.from(text);
  const made = [];
  let at = 0;
  for (const [start, end] of [...spans].sort(([a], [b]) => a - b)) {
    if (start < at) continue;
    made.push(letters.slice(at, start).join(""), el("mark", {}, letters.slice(start, end).join("")));
    at = end;
  }
  return [...made, letters.slice(at).join("")];
}
