// Thumbs and stars of one artefact. Every click is a row in the ledger; the latest of each scale is what is shown.

import { api } from "./api.js";
import { button, el, fresh } from "./dom.js";
import { icon } from "./icons.js";
import { say } from "./say.js";

/** `known` are the artefact's ratings so far. */
export function rating(artefact, known = []) {
  const latest = (scale) => known.findLast((one) => one.scale === scale)?.value ?? 0;
  let thumb = latest("thumb");
  let stars = latest("stars");
  const up = button("Good", () => give("up"), { sign: icon("up"), class: "thumb", "data-rating": "up" });
  const down = button("Bad", () => give("down"), { sign: icon("down"), class: "thumb", "data-rating": "down" });
  const group = fresh("stars");
  const choices = [1, 2, 3, 4, 5].map((count) => {
    const id = `${group}-${count}`;
    const name = `${count} star${count === 1 ? "" : "s"}`;
    const input = el("input", { type: "radio", name: group, id, value: count, onchange: () => give(count) });
    return [input, el("label", { for: id, title: name }, el("span", { class: "hidden" }, name), el("span", { "aria-hidden": "true" }, "★"))];
  });
  const show = () => {
    up.setAttribute("aria-pressed", thumb === 1);
    down.setAttribute("aria-pressed", thumb === -1);
    for (const [place, [input, label]] of choices.entries()) {
      input.checked = stars === place + 1;
      label.classList.toggle("lit", place < stars);
    }
  };

  // One after the other: of two clicks in a row the ledger's latest is the last.
  let sent = Promise.resolve();

  function give(value) {
    const before = [thumb, stars];
    if (value === "up" || value === "down") thumb = value === "up" ? 1 : -1;
    else stars = value;
    show();
    sent = sent.then(() => send(value, before));
  }

  async function send(value, before) {
    try {
      await api("/v1/feedback", { method: "POST", json: { artefact: artefact.id, rating: value } });
      say(`Rated ${value === "up" ? "good" : value === "down" ? "bad" : `${value} of 5`}.`);
    } catch (error) {
      [thumb, stars] = before;
      show();
      say(error.message);
    }
  }

  show();
  const row = el("fieldset", { class: "stars" }, el("legend", { class: "hidden" }, "Stars"), choices.flat());
  return el("div", { class: "rating", role: "group", "aria-label": "Rate this" }, up, down, row);
}
