// What was written, edited in place: the edit is kept beside what was made, which stays and can be looked at.

import { api } from "./api.js";
import { button, el, fresh, grows, submits } from "./dom.js";
import { say } from "./say.js";

const TASKS = ["text", "chat"];

/** The artefact's text as `body` (of a text) shows it, and a button that edits it; null where nothing can be edited. */
export function editable(artefact, task, body, onedit = () => {}) {
  if (!TASKS.includes(task) || typeof artefact.text !== "string") return null;
  let edited = artefact.edits?.at(-1)?.text ?? null;
  const element = el("div", { class: "written" });
  const edit = button("Edit", open, { title: "Say how it should have been" });

  function show() {
    const before = el("details", { class: "more" }, el("summary", {}, "Edited. What the model wrote"), body(artefact.text));
    element.replaceChildren(body(edited ?? artefact.text), ...(edited === null ? [] : [before]));
    edit.disabled = false;
  }

  function open() {
    const id = fresh("edit");
    const box = el("textarea", { id, value: edited ?? artefact.text, maxlength: 1000000, onkeydown: keys });
    const wrong = el("p", { class: "wrong", role: "alert" });
    const label = el("label", { for: id, class: "hidden" }, "How it should have been");
    const save = el("button", { class: "main", type: "submit" }, "Keep the edit");
    const form = el("form", { class: "editing", onsubmit: keep }, label, box, wrong, el("div", { class: "doings" }, save, button("Cancel", close)));
    edit.disabled = true;
    element.replaceChildren(form);
    grows(box);
    box.dispatchEvent(new Event("input"));
    box.focus();

    async function keep(event) {
      event.preventDefault();
      save.disabled = true;
      try {
        edited = (await api(`/v1/artefacts/${artefact.id}/edits`, { method: "POST", json: { text: box.value } })).text;
        close();
        onedit(edited);
        say("Kept. Training learns from it.");
      } catch (error) {
        wrong.textContent = error.message;
        save.disabled = false;
        box.focus();
      }
    }
    function keys(event) {
      submits(event);
      if (event.key !== "Escape") return;
      event.preventDefault();
      close();
    }
  }

  function close() {
    show();
    edit.focus();
  }

  show();
  return { element, edit };
}
