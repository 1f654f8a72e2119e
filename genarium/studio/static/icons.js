// The few signs that no font draws the same everywhere.

const PATHS = {
  up: "M7 21H4V10h3m0 11V10l4-7c1.7 0 2.6 1.3 2.2 3L12.5 9H18c1.6 0 2.4 1.2 2 2.7l-1.9 7.2C17.8 20.2 17 21 15.8 21Z",
  down: "M7 3H4v11h3m0-11v11l4 7c1.7 0 2.6-1.3 2.2-3L12.5 15H18c1.6 0 2.4-1.2 2-2.7l-1.9-7.2C17.8 3.8 17 3 15.8 3Z",
};

export function icon(name) {
  const make = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const drawn = make("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true", class: "icon" });
  drawn.append(make("path", { d: PATHS[name] }));
  return drawn;
}
