// What can be done with an artefact: rate it, make it again or vary it, compare it, open its recipe, save it.

import { isSeeded } from "./api.js";
import { button, el } from "./dom.js";
import { rating } from "./rating.js";
import { say } from "./say.js";
import { again } from "./job.js";
import { pick } from "./tray.js";

/** `known` are its ratings; `edit` a button where it can be edited; `open: false` where its recipe is open already. */
export function actions(artefact, { task, known, edit = null, open = true }) {
  return el(
    "div",
    { class: "actions" },
    rating(artefact, known),
    el(
      "div",
      { class: "doings" },
      edit,
      button("Again", () => redo(artefact, task, {}), { title: "The same recipe, to the byte" }),
      isSeeded(task) ? button("Vary", () => redo(artefact, task, { seed: null }), { title: "The same with another seed" }) : null,
      button("Compare", () => pick(artefact, task), { title: "Side by side with another" }),
      open ? el("a", { class: "button", href: `#/artefact/${artefact.id}` }, "Recipe") : null,
      el("a", { class: "button", href: `${artefact.url}?download=true`, download: "" }, "Save"),
      ...(artefact.kind === "video" ? others(artefact) : []),
    ),
  );
}

/** A video's other files. */
const others = ({ url }) =>
  Object.entries({ gif: "GIF", webm: "WebM", sheet: "Contact sheet" }).map(([form, name]) =>
    el("a", { class: "button", href: `${url}?form=${form}&download=true`, download: "", title: `Save as ${name}` }, name),
  );

async function redo(artefact, task, changes) {
  try {
    const job = await again(artefact.id, changes);
    document.dispatchEvent(new CustomEvent("begun", { detail: { job, about: { task, of: artefact.title } } }));
    location.hash = "#/make";
  } catch (error) {
    say(error.message);
  }
}
