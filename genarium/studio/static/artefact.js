// How an artefact of each kind is shown: by its media type where that says enough, else by its kind.

import { answer } from "./answer.js";
import { schemas } from "./api.js";
import { el } from "./dom.js";
import { editable } from "./edit.js";
import { table } from "./table.js";
import { player } from "./video.js";

/** `recipe` is the artefact's or its run's. */
export function shown(artefact, recipe) {
  const made = body(artefact, recipe);
  return artefact.page_url ? el("div", {}, page(artefact), made) : made;
}

function body(artefact, recipe) {
  const type = artefact.media_type ?? "";
  const named = artefact.title || artefact.kind;
  if (artefact.page_url) return el("p", {}, el("a", { href: artefact.url, target: "_blank", rel: "noopener" }, "As a picture"));
  if (type.startsWith("image/")) return el("img", { class: "picture", src: artefact.url, alt: named, loading: "lazy" });
  if (isClip(artefact)) return player(artefact);
  if (type.startsWith("video/")) return el("video", { src: artefact.url, controls: true, loop: true, playsinline: true, "aria-label": named });
  if (type.startsWith("audio/")) return el("audio", { src: artefact.url, controls: true, "aria-label": named });
  if (artefact.kind === "answer") return answer(artefact, recipe);
  if (artefact.kind === "records") return el("div", {}, artefact.summary ? el("p", {}, artefact.summary) : null, table(artefact, recipe));
  if (artefact.kind === "vectors") return vectors(artefact);
  if (typeof artefact.text === "string") return written(artefact);
  return el("p", {}, named);
}

/** Whether it is a video whose frames are known, so that they can be looked at one by one. */
export const isClip = ({ media_type, frames, fps }) => (media_type ?? "").startsWith("video/") && frames > 0 && fps > 0;

/** Text that was written, after what it continues; a conversation's reply alone. */
export function written(artefact) {
  const before = artefact.kind === "text" ? artefact.prompt : null;
  const rest = artefact.finish_reason === "length" ? el("span", { class: "cut", title: "it reached the longest it may be" }, " …") : null;
  return el("p", { class: "prose" }, before ? el("span", { class: "given" }, before) : null, artefact.text, rest);
}

/** Text that can be edited in place: its element and the button; null of anything else. */
export const edited = (artefact, task) =>
  editable(artefact, task, (text) => written(text === artefact.text ? artefact : { ...artefact, text, finish_reason: "stop" }));

function vectors(artefact) {
  const told = el("p", {}, `${artefact.count} vector${artefact.count === 1 ? "" : "s"} of ${artefact.width} numbers`);
  return artefact.rows ? el("div", {}, told, table(artefact, null)) : told;
}

/** The artefact's own page (heat maps word by word), which may run no script and reach nothing. */
function page(artefact) {
  return el("iframe", { class: "page", sandbox: "", src: artefact.page_url, title: artefact.title || artefact.kind, loading: "lazy" });
}

/** What was asked for, in a line: the first argument of its task. */
export function asked({ recipe }) {
  const first = Object.keys(schemas.get(recipe.task)?.properties ?? {})[0];
  const said = [recipe.arguments[first] ?? ""].flat();
  return said.every((one) => typeof one === "string") ? said.join(" | ").replace(/\s+/g, " ").slice(0, 200) : "";
}

/** Which model answered, how long it took, and with which seed. */
export function facts({ model, seconds, seed, tokens }) {
  const took = typeof seconds === "number" ? duration(seconds) : null;
  const parts = [model && shortName(model), took, tokens ? `${tokens} tokens` : null, seed !== undefined && seed !== null ? `seed ${seed}` : null];
  return parts.filter(Boolean).join(" · ");
}

/** A folder by its last name, a starter or hub id as it is. */
export const shortName = (model) => (/^([/~\\]|\w:)/.test(model) ? model.split(/[/\\]/).filter(Boolean).at(-1) : model);

export function duration(seconds) {
  if (seconds < 0.0995) return `${Math.max(1, Math.round(1000 * seconds))} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(Math.round(seconds) / 60)} min ${Math.round(seconds) % 60} s`;
}
