// A blind comparison: two models answer one prompt, and whose answer is where is seen once it was said which is better.

import { api, models, schemas } from "./api.js";
import { duration } from "./artefact.js";
import { button, el, fresh, grows, submits } from "./dom.js";
import { percent } from "./models.js";
import { say } from "./say.js";

const TASKS = { chat: "reply", text: "continue" };
const SIDES = { left: "first", right: "second" };
let view = null;

/** The view; it stays as it is while other views are looked at. */
export async function blind() {
  view ??= build();
  await view.renew();
  return view.page;
}

function build() {
  const ids = { longest: fresh("longest"), task: fresh("task"), first: fresh("first"), second: fresh("second"), prompt: fresh("prompt") };
  const tasks = Object.entries(TASKS).filter(([name]) => schemas.has(name));
  const task = el("select", { id: ids.task, onchange: renew }, tasks.map(([name, label]) => el("option", { value: name }, label)));
  const chosen = [el("select", { id: ids.first }), el("select", { id: ids.second })];
  const longest = el("input", { id: ids.longest, type: "number", min: 1, step: 1, inputmode: "numeric", placeholder: "as usual" });
  const prompt = grows(el("textarea", { id: ids.prompt, rows: 2, onkeydown: submits }));
  const go = el("button", { class: "main", type: "submit" }, "Have both answer");
  const wrong = el("p", { class: "wrong", role: "alert" });
  const place = el("div", { "aria-live": "polite" });
  const labelled = (id, label, control) => el("div", { class: "field" }, el("label", { for: id }, label), control);
  const form = el(
    "form",
    { class: "card", onsubmit: submit },
    el("p", { class: "lead" }, "Which model wrote which answer is seen when you have said which one is better."),
    el(
      "div",
      { class: "options" },
      labelled(ids.first, "One model", chosen[0]),
      labelled(ids.second, "The other", chosen[1]),
      labelled(ids.task, "They", task),
      labelled(ids.longest, "Longest answer, in tokens", longest),
    ),
    el("div", { class: "field asking" }, el("label", { for: ids.prompt }, "What both are given"), prompt),
    wrong,
    el("div", { class: "go" }, go, el("span", { class: "help" }, el("kbd", {}, "Ctrl"), " + ", el("kbd", {}, "Enter"))),
  );
  const page = el("div", { class: "blind" }, el("h1", { tabindex: -1 }, "Compare two models, blind"), form, place);

  /** The models that may do the task; what was chosen stays chosen. */
  async function renew() {
    const all = (await models()).filter((one) => !one.tasks.length || one.tasks.includes(task.value));
    const before = chosen.map((select) => select.value);
    for (const [at, select] of chosen.entries()) {
      select.replaceChildren(...all.map(({ id }) => el("option", { value: id }, id)));
      select.value = before[at];
      if (select.selectedIndex < 0) select.selectedIndex = Math.min(at, all.length - 1);
    }
    wrong.textContent = all.length < 2 ? `There is only one model here that can ${TASKS[task.value]}.` : "";
    go.disabled = all.length < 2;
  }

  async function submit(event) {
    event.preventDefault();
    wrong.textContent = "";
    if (!prompt.value.trim()) {
      wrong.textContent = "Give them something to answer.";
      prompt.focus();
      return;
    }
    const ended = new AbortController();
    const began = performance.now();
    const halt = button("Stop", () => ended.abort(), { class: "quiet" });
    go.disabled = true;
    place.replaceChildren(el("div", { class: "card run" }, el("div", { class: "now" }, el("progress", { "aria-label": "Progress" }), "Both are answering", halt)));
    try {
      const arguments_ = { [task.value === "chat" ? "message" : "prompt"]: prompt.value };
      if (longest.value) arguments_.max_new_tokens = Number(longest.value);
      const json = { task: task.value, models: chosen.map((select) => select.value), arguments: arguments_ };
      const shown = await api("/v1/comparisons", { method: "POST", json, signal: ended.signal });
      place.replaceChildren(sides(shown, prompt));
      say(`Both have answered, in ${duration((performance.now() - began) / 1000)}.`, { seen: false });
      place.querySelector("section").focus();
    } catch (error) {
      place.replaceChildren();
      wrong.textContent = error.name === "AbortError" ? "Stopped." : error.message;
    } finally {
      go.disabled = false;
    }
  }

  return { page, renew };
}

/** Both answers, with what is said of them. */
function sides(shown, prompt) {
  const same = shown.left.text === shown.right.text;
  const id = fresh("why");
  const note = el("input", { id, maxlength: 4000, placeholder: "optional" });
  const verdict = el("div", { class: "verdict", role: "status" });
  const choices = {
    left: button("The first is better", () => judge("left"), { class: "main", disabled: same, "aria-keyshortcuts": "ArrowLeft" }),
    equal: button("Neither is better", () => judge("equal"), { "aria-keyshortcuts": "=" }),
    right: button("The second is better", () => judge("right"), { class: "main", disabled: same, "aria-keyshortcuts": "ArrowRight" }),
  };
  const whose = Object.fromEntries(Object.entries(SIDES).map(([side, name]) => [side, el("p", { class: "whose" }, `The ${name}`)]));
  const cards = Object.fromEntries(
    Object.entries(SIDES).map(([side, name]) => [
      side,
      el("section", { class: "card side", "aria-label": `The ${name} answer`, tabindex: -1 }, whose[side], el("p", { class: "prose" }, shown[side].text || "(nothing)")),
    ]),
  );
  let kept = false;

  async function judge(said) {
    if (kept || choices[said].disabled) return;
    kept = true;
    try {
      tell(await api(`/v1/comparisons/${shown.id}/verdict`, { method: "POST", json: { verdict: said, note: note.value } }));
    } catch (error) {
      kept = false;
      say(error.message);
    }
  }

  function tell(told) {
    for (const one of Object.values(choices)) one.disabled = true;
    for (const side of Object.keys(SIDES)) {
      cards[side].classList.toggle("chosen", told.verdict === side);
      whose[side].replaceChildren(el("strong", {}, told[side].model), " ", el("a", { href: `#/artefact/${told[side].artefact}` }, "Recipe"));
    }
    const { total } = told;
    const sentence = told.verdict === "equal" ? "Kept: neither is better. " : `Kept: ${told[told.verdict].model} is better. `;
    const so = `${total.model} was better than ${total.other} in ${percent(total.win_rate)} of ${total.count} so far (interval ${percent(total.low)} to ${percent(total.high)}). `;
    const next = button("Another prompt", () => (prompt.focus(), prompt.select()), { class: "main" });
    verdict.replaceChildren(sentence, total ? so : "", next, " ", el("a", { href: "#/models" }, "All comparisons"));
    next.focus();
  }

  function keys(event) {
    if (event.target.matches("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    const said = { ArrowLeft: "left", ArrowRight: "right", "=": "equal" }[event.key];
    if (!said) return;
    event.preventDefault();
    judge(said);
  }

  return el(
    "div",
    { class: "compare", onkeydown: keys },
    el("div", { class: "sides" }, cards.left, cards.right),
    same ? el("p", { class: "help" }, "Both say the same, so that neither is better.") : null,
    el("div", { class: "doings" }, Object.values(choices)),
    el("p", { class: "help" }, el("kbd", {}, "←"), " ", el("kbd", {}, "="), " ", el("kbd", {}, "→"), " say it as well"),
    el("div", { class: "field" }, el("label", { for: id }, "Why"), note),
    verdict,
  );
}
