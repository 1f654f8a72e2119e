// Two artefacts side by side: what differs in their recipes, and which one is better.

import { api, isSeeded } from "./api.js";
import { facts, isClip, shown } from "./artefact.js";
import { told } from "./detail.js";
import { button, el, fresh } from "./dom.js";
import { say } from "./say.js";
import { variation } from "./tray.js";
import { clip, controls } from "./video.js";

export async function compare(first, second) {
  const pair = await Promise.all([first, second].map((id) => api(`/v1/artefacts/${encodeURIComponent(id)}`)));
  const alike = pair[0].task === pair[1].task;
  const clips = pair.every(isClip) ? pair.map(clip) : null;
  const id = fresh("why");
  const note = el("input", { id, maxlength: 4000, placeholder: "optional" });
  const verdict = el("div", { class: "verdict", role: "status" });
  const choose = [0, 1].map((place) =>
    button(`The ${place ? "second" : "first"} is better`, () => better(place), { class: "main", disabled: !alike, "aria-keyshortcuts": place ? "ArrowRight" : "ArrowLeft" }),
  );
  let kept = false;

  async function better(place) {
    if (kept || !alike) return;
    kept = true;
    const [chosen, rejected] = [pair[place], pair[1 - place]];
    try {
      const json = { chosen: chosen.id, rejected: rejected.id, note: note.value };
      await api("/v1/feedback", { method: "POST", json });
      for (const one of choose) one.disabled = true;
      page.querySelectorAll(".side")[place].classList.add("chosen");
      verdict.replaceChildren(`Kept: the ${place ? "second" : "first"} is better. `);
      if (isSeeded(chosen.task)) verdict.append(button("Vary the better one, and compare again", () => goOn(chosen)));
      verdict.append(" ", el("a", { href: "#/history" }, "Back to history"));
    } catch (error) {
      kept = false;
      say(error.message);
    }
  }

  async function goOn(chosen) {
    const next = await variation(chosen.id);
    if (next) location.hash = `#/compare/${chosen.id}/${next}`;
  }

  const page = el(
    "div",
    { class: "compare", onkeydown: keys },
    el("h1", { tabindex: -1 }, "Which one is better?"),
    el("div", { class: "sides" }, pair.map((entry, place) => side(entry, choose[place], clips?.[place].video))),
    clips ? el("div", { class: "player" }, el("p", { class: "help" }, "Both, at the same moment"), controls(clips)) : null,
    alike ? null : el("p", { class: "wrong" }, "They are of two tasks, so that neither can be the better one."),
    el("div", { class: "field" }, el("label", { for: id }, "Why"), note),
    el("p", { class: "help" }, el("kbd", {}, "←"), " and ", el("kbd", {}, "→"), " choose as well"),
    verdict,
    differences(pair),
  );

  function keys(event) {
    if (event.target.matches("input, video, audio, .scroll") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      better(event.key === "ArrowRight" ? 1 : 0);
    }
  }
  return page;
}

/** `body` is what is shown of it, where that is not what is shown elsewhere. */
function side(entry, choose, body) {
  const { recipe } = entry;
  const seed = isSeeded(entry.task) ? recipe.seed : null;
  return el(
    "section",
    { class: "card side", "aria-label": entry.title || entry.kind },
    body ?? shown(entry, recipe),
    el("p", { class: "facts" }, facts({ model: recipe.model?.reference, seconds: entry.stats.seconds, seed })),
    el("p", {}, choose, " ", el("a", { href: `#/artefact/${entry.id}` }, "Recipe")),
  );
}

function differences([a, b]) {
  const all = [a, b].map(({ recipe }) => ({ ...recipe.arguments, model: recipe.model?.reference ?? "none", seed: recipe.seed }));
  const names = [...new Set(all.flatMap(Object.keys))];
  const differing = names.filter((name) => JSON.stringify(all[0][name]) !== JSON.stringify(all[1][name]));
  if (!differing.length) return el("p", { class: "help" }, "Both come from one recipe.");
  const rows = differing.map((name) =>
    el("tr", {}, el("th", { scope: "row" }, name.replaceAll("_", " ")), ...all.map((one) => el("td", {}, told(one[name] ?? "–")))),
  );
  const head = el("tr", {}, ["differs in", "first", "second"].map((name) => el("th", { scope: "col" }, name)));
  return el("table", { class: "recipe" }, el("thead", {}, head), el("tbody", {}, rows));
}
