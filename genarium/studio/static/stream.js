// The runs of this visit, newest first. It stays as it is while other views are looked at.

import { run } from "./run.js";
import { el } from "./dom.js";

export const list = el("div", { class: "stream", id: "results" });

/** Follow a job in a card of its own, on top. */
export function addRun(job, about) {
  const card = run(job, about);
  list.prepend(card);
  return card;
}

// A card's "Again" begins a run, whose card has an "Again" too: it says so, and whoever keeps the runs hears it.
document.addEventListener("begun", ({ detail }) => addRun(detail.job, detail.about));
