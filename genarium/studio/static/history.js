// Everything that was made, newest first: a gallery with search.

import { api, schemas } from "./api.js";
import { asked } from "./artefact.js";
import { button, el, fresh, later, when } from "./dom.js";
import { icon } from "./icons.js";
import { pick } from "./tray.js";

const PAGE = 24;

/** The view, asked for anew each time it is opened. */
export async function history() {
  const ids = [fresh("search"), fresh("task"), fresh("rated")];
  const search = el("input", { id: ids[0], type: "search", placeholder: "words in the title", oninput: later(250, begin) });
  const task = el("select", { id: ids[1], onchange: begin }, el("option", { value: "" }, "all tasks"));
  task.append(...[...schemas.keys()].map((name) => el("option", {}, name)));
  const rated = el("input", { id: ids[2], type: "checkbox", onchange: begin });
  const count = el("p", { class: "help", role: "status" });
  const gallery = el("ul", { class: "gallery" });
  const more = button("Show older ones", next, { hidden: true });
  let last = null;
  let round = 0;

  async function begin() {
    last = null;
    await next();
  }

  async function next() {
    const mine = (round += 1);
    const first = last === null;
    const asked = new URLSearchParams({ limit: PAGE, rated: rated.checked });
    if (search.value) asked.set("search", search.value);
    if (task.value) asked.set("task", task.value);
    if (!first) asked.set("before", last);
    try {
      const { data, has_more } = await api(`/v1/history?${asked}`);
      if (mine !== round) return; // another search was begun meanwhile
      if (first) gallery.replaceChildren();
      gallery.append(...data.map(card));
      last = data.at(-1)?.id ?? last;
      more.hidden = !has_more;
      const shown = gallery.children.length;
      count.textContent = shown ? `${shown}${has_more ? " and more" : ""}` : "Nothing here yet.";
    } catch (error) {
      count.textContent = error.message;
    }
  }

  await begin();
  return el(
    "div",
    { class: "history" },
    el("h1", { tabindex: -1 }, "History"),
    el(
      "form",
      { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      el("div", { class: "field" }, el("label", { for: ids[0] }, "Search"), search),
      el("div", { class: "field" }, el("label", { for: ids[1] }, "Task"), task),
      el("div", { class: "field boolean" }, rated, el("label", { for: ids[2] }, "rated only")),
    ),
    count,
    gallery,
    more,
  );
}

function card(entry) {
  const picture = entry.poster_url ?? (entry.media_type.startsWith("image/") ? entry.url : null);
  const name = asked(entry) || entry.title || entry.kind;
  const face = picture
    ? el("img", { src: picture, alt: "", loading: "lazy" })
    : el("p", { class: "excerpt" }, (entry.text || entry.summary || entry.title).trim());
  const link = el("a", { href: `#/artefact/${entry.id}` }, el("span", { class: "name" }, name), face);
  return el(
    "li",
    { class: "card tile", "data-artefact": entry.id },
    link,
    el("p", { class: "facts" }, el("span", { class: "badge" }, entry.task), " ", when(entry.created), " ", verdict(entry.ratings)),
    button(`Compare ${name.slice(0, 60)}`, () => pick(entry, entry.task), { sign: "Compare", class: "quiet" }),
  );
}

/** The latest rating of each scale, in signs. */
function verdict(ratings) {
  const latest = (scale) => ratings.findLast((one) => one.scale === scale)?.value;
  const thumb = latest("thumb");
  const stars = latest("stars");
  const words = [thumb === 1 ? "rated good" : thumb === -1 ? "rated bad" : "", stars ? `${stars} stars` : ""].filter(Boolean).join(", ");
  if (!words) return null;
  const signs = [...(thumb ? [icon(thumb === 1 ? "up" : "down")] : []), "★".repeat(stars ?? 0)];
  return el("span", { class: "verdicts", title: words }, el("span", { class: "hidden" }, words), el("span", { "aria-hidden": "true" }, signs));
}
