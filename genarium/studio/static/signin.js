// The dialog that asks for the server's key and changes it for a cookie.

import { el, fresh } from "./dom.js";

let open = null;

/** Whether a key was given that the server takes; false where the person closed the dialog. */
export function signIn() {
  open ??= ask().finally(() => (open = null));
  return open;
}

function ask() {
  return new Promise((resolve) => {
    const id = fresh("key");
    const key = el("input", { id, type: "password", autocomplete: "current-password", required: true });
    const wrong = el("p", { class: "wrong", role: "alert" });
    const dialog = el(
      "dialog",
      { "aria-labelledby": `${id}-title`, onclose: () => (dialog.remove(), resolve(dialog.returnValue === "in")) },
      el("h2", { id: `${id}-title` }, "This server needs a key"),
      el(
        "form",
        { onsubmit: submit, method: "dialog" },
        el("label", { for: id }, "The key it was started with (--api-key)"),
        key,
        wrong,
        el("button", { class: "main" }, "Go on"),
      ),
    );

    async function submit(event) {
      event.preventDefault();
      const answered = await fetch("/session", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ key: key.value }),
      }).catch(() => null);
      if (answered?.ok) dialog.close("in");
      else wrong.textContent = answered ? "That is not one of its keys." : "The server can't be reached.";
    }

    document.body.append(dialog);
    dialog.showModal();
  });
}
