// A run's card: queued, forming (text as it is written, pictures as they form), finished with all that can be done.

import { actions } from "./actions.js";
import { isSeeded } from "./api.js";
import { duration, edited, facts, shortName, shown } from "./artefact.js";
import { button, el } from "./dom.js";
import { follow, stop } from "./job.js";
import { say } from "./say.js";

/** `about`: `task`, and what was asked in a few words (`of`). */
export function run(job, { task, of = "" }) {
  const outputs = el("div", { class: "outputs" });
  const meter = el("progress", { "aria-label": "Progress" });
  const stage = el("span", { class: "stage" }, "waiting");
  const halt = button("Stop", () => stop(job).catch((error) => say(error.message)), { class: "quiet" });
  const notes = el("ul", { class: "notes" });
  const told = el("p", { class: "facts" });
  const now = el("div", { class: "now" }, meter, stage, halt);
  const heading = el("h2", {}, el("span", { class: "badge" }, task), of ? el("span", { class: "of" }, of) : null);
  const card = el("article", { class: "card run", "aria-busy": "true" }, el("header", {}, heading), now, outputs, notes, told);
  const places = new Map();
  const began = performance.now();

  const place = (item) => {
    if (!places.has(item)) {
      const made = el("section", { class: "output" });
      places.set(item, made);
      outputs.append(made);
    }
    return places.get(item);
  };
  const forming = (item, tag, attributes) => {
    const inside = place(item);
    if (inside.firstChild?.nodeName.toLowerCase() !== tag) inside.replaceChildren(el(tag, attributes));
    return inside.firstChild;
  };
  const move = (name, { done, total }) => {
    stage.textContent = total ? `${name} ${done} of ${total}` : name;
    if (total) [meter.max, meter.value] = [total, done];
    else meter.removeAttribute("value");
  };

  const on = {
    status: ({ status }) => (stage.textContent = status),
    progress: (data) => {
      move(data.about ? `${data.stage} ${data.about}` : data.stage, data);
      if (data.picture) forming(data.item, "img", { class: "picture forming", alt: "what is made, as it forms" }).src = data.picture;
    },
    writing: (data) => {
      forming(data.item, "p", { class: "prose forming" }).append(data.text);
      move("writing", data);
    },
    row: (data) => move("row", data),
    note: (data) => notes.append(el("li", {}, data.text)),
    gap: () => notes.append(el("li", {}, "Some of what was on its way is missing here; the result is whole.")),
    artefact: (data) => finished(data, null),
  };

  function finished(artefact, result) {
    const inside = place(artefact.item);
    const own = ["image", "video"].includes(artefact.kind) && artefact.seed !== undefined ? el("p", { class: "facts" }, `seed ${artefact.seed}`) : "";
    const text = edited(artefact, task);
    inside.replaceChildren(text?.element ?? shown(artefact, result?.recipe ?? null), own, actions(artefact, { task, edit: text?.edit }));
    inside.dataset.artefact = artefact.id;
  }

  follow(job, on).then((end) => {
    now.remove();
    card.setAttribute("aria-busy", "false");
    if (end.result) {
      const { artefacts, model, seconds, seed } = end.result;
      const separate = artefacts.filter((one) => one.kind !== "sheet");
      const sheet = artefacts.find((one) => one.kind === "sheet");
      outputs.classList.toggle("many", separate.length > 1);
      for (const artefact of separate) finished(artefact, end.result);
      if (sheet) {
        places.get(sheet.item)?.remove();
        notes.append(el("li", {}, el("a", { href: `#/artefact/${sheet.id}` }, "All on one sheet")));
      }
      if (separate.length === 2) {
        const both = `#/compare/${separate[0].id}/${separate[1].id}`;
        notes.append(el("li", {}, el("a", { href: both }, "Which one is better?")));
      }
      told.textContent = facts({ model, seconds, seed: isSeeded(task) ? seed : null });
      say(`${task} is done: ${model ? shortName(model) : "no model"}, ${duration(seconds)}.`, { seen: !card.isConnected });
    } else {
      for (const one of places.values()) if (!one.dataset.artefact) one.classList.add("broken");
      const sentence = end.error?.message ?? (end.status === "cancelled" ? "Stopped." : `It is ${end.status}.`);
      told.textContent = `${sentence} (after ${duration((performance.now() - began) / 1000)})`;
      told.classList.toggle("wrong", end.status === "failed");
      say(sentence);
    }
  });
  return card;
}
