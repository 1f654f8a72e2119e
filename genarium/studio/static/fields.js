// One field of a form from one property of a task's schema. Each has `element`, `value()` and `set(value)`; undefined
// is "not given", so that the task's own default counts.

import { indexes, models, upload } from "./api.js";
import { button, el, fresh, grows } from "./dom.js";

/** `about` is a property of the schema; `task` its task, which the choice of models depends on. */
export function field(name, about, task) {
  const inner = about.anyOf ? about.anyOf[0] : about;
  const id = fresh(name);
  const given = { id, name, "aria-describedby": `${id}-help` };
  const made = control(name, inner, about, given, task);
  const help = el("p", { id: `${id}-help`, class: "help" }, helpOf(about, inner, made.hint));
  const label = el("label", { for: id }, labelOf(name));
  const parts = inner.type === "boolean" ? [made.element, label, help] : [label, made.element, help];
  return { name, ...made, element: el("div", { class: `field ${inner.type}${made.long ? " long" : ""}` }, parts), focus: () => made.focus() };
}

export const labelOf = (name) => name.replace(/_+$/, "").replaceAll("_", " ");

/** The command line's help without what concerns only the command line. */
function helpOf(about, inner, hint = "") {
  const said = (about.description ?? "")
    .replace(/;? ?- reads [^;,[]*(?=[;,[]|$)/, "")
    .replace(/, or a file of one made before[^;]*/, "")
    .replace(/; may be (repeated|given several times)/, "")
    .replace(/ \(a file: the id that .*\)$/, "");
  // How several are told apart there is not how they are here.
  const what = inner.type === "array" ? said.split(/;|, apart by/)[0] : said;
  return [what.trim(), hint].filter(Boolean).join(" · ");
}

function control(name, inner, about, given, task) {
  if (name === "model") return choice(given, about, modelChoices(task), "another, by its name …");
  if (name === "index" && inner.items?.type === "string") return several(given, indexChoices(), "none yet: genarium index DIR");
  if (inner.enum) return choice(given, about, inner.enum.map((one) => [one, String(one)]));
  if (inner.format === "file-reference") return file(given, false);
  if (inner.items?.format === "file-reference") return file(given, true);
  if (inner.type === "boolean" && about.default === null) return choice(given, about, [[true, "yes"], [false, "no"]]);
  if (inner.type === "boolean") return checkbox(given, about);
  if (inner.type === "integer" || inner.type === "number") return number(given, inner, about);
  if (inner.type === "array" && inner.items.type === "string") return lines(given);
  if (inner.type === "array" || inner.type === "object") return json(given);
  return words(given, about, inner.minLength > 0);
}

function plain(element, read, write) {
  return { element, value: () => read(), set: write, focus: () => element.focus() };
}

/** `long`: what may not be empty is a text, and takes the whole width; the rest is a word or two. */
function words(given, about, long) {
  const box = el("textarea", { ...given, rows: 1, placeholder: about.default ?? "" });
  grows(box);
  const write = (value) => ((box.value = value ?? ""), box.dispatchEvent(new Event("input")));
  return { ...plain(box, () => box.value || undefined, write), long };
}

function lines(given) {
  const box = grows(el("textarea", { ...given, rows: 2 }));
  const read = () => box.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const write = (value) => ((box.value = (value ?? []).join("\n")), box.dispatchEvent(new Event("input")));
  return { ...plain(box, () => (read().length ? read() : undefined), write), hint: "one a line", long: true };
}

function json(given) {
  const box = grows(el("textarea", { ...given, rows: 2, spellcheck: "false" }));
  const read = () => {
    if (!box.value.trim()) return undefined;
    try {
      return JSON.parse(box.value);
    } catch (error) {
      throw new Error(`${given.name} is not JSON: ${error.message}`);
    }
  };
  return { ...plain(box, read, (value) => (box.value = value ? JSON.stringify(value, null, 1) : "")), hint: "as JSON" };
}

function number(given, inner, about) {
  const bounds = { min: inner.minimum, max: inner.maximum, step: inner.type === "integer" ? 1 : "any" };
  const box = el("input", { ...given, type: "number", ...bounds, placeholder: about.default ?? "", inputmode: "decimal" });
  const read = () => (box.value === "" ? undefined : Number(box.value));
  return plain(box, read, (value) => (box.value = value ?? ""));
}

function checkbox(given, about) {
  const box = el("input", { ...given, type: "checkbox", checked: about.default === true });
  return plain(box, () => box.checked, (value) => (box.checked = value === true));
}

/** A select; `found` are [value, label] pairs or a promise of them; with `other` one can be written that is not there. */
function choice(given, about, found, other = null) {
  const select = el("select", given);
  const written = el("input", { hidden: true, "aria-label": `${labelOf(given.name)}, by name` });
  const nothing = "default" in about && about.default === null; // then that is a choice, too
  let wanted = about.default ?? null;

  const fill = (pairs) => {
    const known = pairs.some(([value]) => value === wanted);
    const mine = wanted !== null && wanted !== about.default && !known ? [[wanted, String(wanted)]] : [];
    const all = [...(nothing ? [[null, "default"]] : []), ...mine, ...pairs];
    select.replaceChildren(...all.map(([value, label]) => option(value, label)), ...(other ? [el("option", { value: "…" }, other)] : []));
    select.value = wanted === null ? "" : JSON.stringify(wanted);
    if (select.selectedIndex < 0 && all.length) select.selectedIndex = 0;
  };
  const show = () => (written.hidden = select.value !== "…");
  select.addEventListener("change", () => {
    show();
    wanted = ["…", ""].includes(select.value) ? null : JSON.parse(select.value);
    if (!written.hidden) written.focus();
  });
  const ready = Promise.resolve(found).then(fill, () => fill([]));

  const read = async () => {
    await ready;
    if (select.value === "…") return written.value.trim() || undefined;
    return select.value ? JSON.parse(select.value) : undefined;
  };
  const write = (value) => {
    wanted = value?.name ?? value ?? about.default ?? null;
    ready.then(async () => (fill(await Promise.resolve(found).catch(() => [])), show()));
  };
  return { element: el("div", {}, select, written), value: read, set: write, focus: () => select.focus() };
}

/** A box to tick for each of `found`, a promise of [value, label] pairs; the first is ticked at first. */
function several(given, found, nothing) {
  const group = el("fieldset", { ...given, "aria-label": labelOf(given.name), class: "several" });
  let wanted = null;
  const boxes = () => [...group.querySelectorAll("input")];
  const ready = Promise.resolve(found).catch(() => []);
  const tick = () => boxes().forEach((box, place) => (box.checked = wanted === null ? place === 0 : wanted.includes(box.value)));
  ready.then((pairs) => {
    const all = pairs.map(([value, label]) => el("label", {}, el("input", { type: "checkbox", value }), " ", label));
    group.replaceChildren(...(all.length ? all : [nothing]));
    tick();
  });
  const read = async () => {
    await ready;
    const ticked = boxes().filter((box) => box.checked).map((box) => box.value);
    return ticked.length ? ticked : undefined;
  };
  const write = (value) => {
    wanted = value === undefined || value === null ? null : [value].flat().map((one) => one.name ?? one);
    ready.then(tick);
  };
  return { element: group, value: read, set: write, focus: () => boxes()[0]?.focus() };
}

const option = (value, label) => el("option", { value: value === null ? "" : JSON.stringify(value) }, label);

/** The models that may do a task: its starter, those that users named, other starters for it, what was pulled. */
async function modelChoices(task) {
  const all = await models();
  const named = all.filter((one) => one.tasks.length === 0 || one.tasks.includes(task.title)).map((one) => [one.id, one.id]);
  const used = all.find((one) => one.promoted_for.includes(task.title));
  if (used) return [["starter", `${used.id} (promoted)`], ...named];
  if (all.some((one) => one.id === `starter/${task.starter}`)) return [["starter", `starter (${task.starter})`], ...named];
  // Where the starter that chats is not here, one writes all the same: see chat.js.
  const writers = task.title === "chat" ? all.filter((one) => one.tasks.includes("text")) : [];
  return [...named, ...writers.map((one) => [one.id, one.id])];
}

async function indexChoices() {
  return (await indexes()).map((one) => [one.id, `${one.id} (${one.passages} passages)`]);
}

function file(given, many) {
  const picker = el("input", { ...given, type: "file", multiple: many, onchange: () => take(picker.files) });
  const shown = el("span", { class: "file-name" });
  const clear = button("Remove the file", () => set(undefined), { sign: "×", class: "quiet", hidden: true });
  const drop = el(
    "div",
    {
      class: "drop",
      ondragover: (event) => (event.preventDefault(), drop.classList.add("over")),
      ondragleave: () => drop.classList.remove("over"),
      ondrop: (event) => (event.preventDefault(), drop.classList.remove("over"), take(event.dataTransfer.files)),
    },
    picker,
    shown,
    clear,
  );
  let ids = null;
  let problem = null;

  async function take(files) {
    if (!files.length) return;
    shown.textContent = "sending …";
    problem = null;
    ids = Promise.all([...files].slice(0, many ? undefined : 1).map(upload));
    try {
      await ids;
      shown.textContent = [...files].map((one) => one.name).join(", ");
      clear.hidden = false;
    } catch (error) {
      ids = null;
      problem = error.message;
      shown.textContent = problem;
    }
  }
  function set(value) {
    picker.value = "";
    ids = value === undefined || value === null ? null : Promise.resolve([value].flat());
    shown.textContent = ids === null ? "" : "chosen already";
    clear.hidden = ids === null;
  }
  const value = async () => (ids === null ? undefined : many ? await ids : (await ids)[0]);
  return { element: drop, value, set, focus: () => picker.focus() };
}
