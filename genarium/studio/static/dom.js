// Elements. What people and models wrote only ever becomes text: nothing here or elsewhere sets innerHTML.

/** el("p", {class: "x", onclick: f, "aria-label": "…"}, "text", child): attributes by name, `on…` are listeners. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

let count = 0;
/** An id that nothing else on the page has. */
export const fresh = (name) => `${name}-${(count += 1)}`;

/** A button that does something; `label` is also its accessible name, `sign` what is seen in place of it. */
export function button(label, onclick, { sign = null, ...attributes } = {}) {
  const named = sign === null ? {} : { "aria-label": label, title: label };
  return el("button", { type: "button", onclick, ...named, ...attributes }, sign ?? label);
}

/** A moment (ISO 8601), as people here read one. */
export const when = (time) => el("time", { datetime: time }, new Date(time).toLocaleString());

/** A key's listener, of a form or of what is in one: Ctrl and Enter (on a Mac the command key) submit it. */
export function submits(event) {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.closest("form").requestSubmit();
}

/** Keep a text box as high as its text. */
export function grows(box) {
  const fit = () => {
    box.style.height = "auto";
    if (box.scrollHeight) box.style.height = `${box.scrollHeight + 2}px`;
  };
  box.addEventListener("input", fit);
  new ResizeObserver(fit).observe(box.parentElement ?? box);
  return box;
}

export const later = (milliseconds, what) => {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => what(...given), milliseconds);
  };
};
