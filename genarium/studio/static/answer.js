// An answer from documents: each citation is a button that opens the passage it stands on.

import { api } from "./api.js";
import { button, el, fresh } from "./dom.js";
import { pieces } from "./table.js";

/** The answer's sentences with their numbers, and below it what the numbers stand for. */
export function answer(artefact, recipe) {
  const byNumber = new Map(artefact.citations.map((one) => [one.number, one]));
  // Of an answer from several indexes, each citation says its own.
  const index = recipe?.arguments?.index?.name;
  const written = artefact.text.split(/(\[\d+\])/).map((piece) => {
    const found = byNumber.get(Number(/^\[(\d+)\]$/.exec(piece)?.[1]));
    return found ? cite(found, index, piece) : piece;
  });
  const list = artefact.citations.map((one) =>
    el("li", {}, cite(one, index, `[${one.number}]`), " ", el("span", { class: "where" }, where(one)), " ", el("q", {}, one.quote)),
  );
  return el(
    "div",
    { class: "answer" },
    el("p", { class: "asked" }, artefact.question),
    el("p", { class: "prose" }, written),
    list.length ? el("ol", { class: "citations" }, list) : el("p", { class: "help" }, "Nothing in the documents supports an answer."),
  );
}

const cite = (citation, index, sign) =>
  button(`Open passage ${citation.number}: ${where(citation)}`, () => show(citation, index), { sign, class: "cite" });

const where = ({ index, file, page, start, end, time }) =>
  `${index ? `${index}: ` : ""}${file}${page === null ? "" : `, page ${page}`}, ${time ? time : `characters ${start}–${end}`}`;

async function show(citation, only) {
  const index = citation.index ?? only;
  const id = fresh("passage");
  const body = el("div", { class: "passage", tabindex: 0 }, el("p", { class: "help" }, "Opening the passage …"));
  const dialog = el(
    "dialog",
    { class: "wide", "aria-labelledby": id, onclose: () => dialog.remove() },
    el("h2", { id }, citation.file),
    el("p", { class: "where" }, where(citation)),
    body,
    el("form", { method: "dialog" }, el("button", { class: "main" }, "Close")),
  );
  document.body.append(dialog);
  dialog.showModal();
  try {
    if (!index) throw new Error("the recipe names no index");
    const { file, start, end } = citation;
    const asked = new URLSearchParams({ file, start, end });
    const found = (await api(`/v1/indexes/${encodeURIComponent(index)}/passages?${asked}`)).data;
    body.replaceChildren(...found.map((passage) => paragraph(passage, citation)));
    if (!body.querySelector("mark")) throw new Error("the documents changed since");
    body.querySelector("mark").scrollIntoView({ block: "center" });
  } catch (error) {
    const said = `What stands around it can't be shown: ${error.message}.`;
    body.replaceChildren(el("blockquote", {}, el("mark", {}, citation.quote)), el("p", { class: "help" }, said));
  }
}

/** A passage, the quoted words marked where they still stand there. */
function paragraph(passage, { start, end, quote }) {
  const from = Math.max(0, start - passage.start);
  const to = Math.min(end - passage.start, passage.end - passage.start);
  const letters = Array.from(passage.text).slice(from, to).join("");
  const here = to > from && quote.includes(letters);
  return el(
    "section",
    {},
    passage.heading ? el("h3", {}, passage.heading) : null,
    el("p", { class: "prose" }, here ? pieces(passage.text, [[from, to]]) : passage.text),
  );
}
