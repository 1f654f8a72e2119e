// What was picked for a comparison, at the foot of the page until a second one is.

import { isSeeded } from "./api.js";
import { button, el } from "./dom.js";
import { again, follow } from "./job.js";
import { say } from "./say.js";

let picked = null;
const tray = document.getElementById("tray");

/** The first of two, or with the second the comparison. */
export function pick(artefact, task) {
  if (picked && picked.id !== artefact.id) {
    location.hash = `#/compare/${picked.id}/${artefact.id}`;
    clear();
    return;
  }
  picked = { id: artefact.id, title: artefact.title, task };
  tray.replaceChildren(
    el("p", {}, "Comparing ", el("q", {}, short(artefact.title)), ": choose Compare on another one"),
    ...(isSeeded(task) ? [button("Vary it, and compare both", vary, { class: "main" })] : []),
    button("Cancel", clear, { class: "quiet" }),
  );
  tray.hidden = false;
  tray.querySelector("button").focus();
}

async function vary() {
  const first = picked.id;
  clear();
  const second = await variation(first);
  if (second) location.hash = `#/compare/${first}/${second}`;
}

/** The id of the same with another seed, once it is made; null where it failed. */
export async function variation(id) {
  try {
    say("Making a variation …");
    const end = await follow(await again(id, { seed: null }));
    if (end.result) return end.result.artefacts.find((one) => !one.overview)?.id ?? end.result.artefacts[0].id;
    say(end.error?.message ?? "It was stopped.");
  } catch (error) {
    say(error.message);
  }
  return null;
}

function clear() {
  picked = null;
  tray.hidden = true;
  tray.replaceChildren();
}

const short = (title) => (title.length > 60 ? `${title.slice(0, 60)}…` : title);
