// Where the page begins: views by the address behind #, so that back, forward and bookmarks work.

import { loadTasks } from "./api.js";
import { blind } from "./blind.js";
import { chat } from "./chat.js";
import { compare } from "./compare.js";
import { detail } from "./detail.js";
import { el } from "./dom.js";
import { history } from "./history.js";
import { focusPrompt, make } from "./make.js";
import { models } from "./models.js";

const VIEWS = { make, chat, history, models, artefact: detail, compare, blind };
const WITHIN = { blind: "models" }; // views that are reached from another
const main = document.getElementById("main");
let round = 0;

async function show() {
  const mine = (round += 1);
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const view = Object.hasOwn(VIEWS, name) ? name : "make";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${WITHIN[view] ?? view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let page;
  try {
    page = await VIEWS[view](...rest);
  } catch (error) {
    page = el("div", {}, el("h1", { tabindex: -1 }, "That can't be shown"), el("p", { class: "wrong" }, error.message));
  }
  if (mine !== round) return;
  const first = main.querySelector("h1") === null;
  main.replaceChildren(page);
  const heading = page.querySelector("h1");
  document.title = `${heading.textContent.slice(0, 60)} · Genarium`;
  scrollTo(0, 0);
  if (first) focusPrompt();
  else heading.focus({ preventScroll: true });
}

addEventListener("hashchange", show);
document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault(); // the address behind # is the view's
  main.focus();
});
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea, select")) return;
  const search = main.querySelector('input[type="search"], .prompt textarea, .say textarea');
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

try {
  await loadTasks();
  await show();
} catch (error) {
  main.replaceChildren(el("h1", { tabindex: -1 }, "The studio can't begin"), el("p", { class: "wrong" }, error.message));
}
