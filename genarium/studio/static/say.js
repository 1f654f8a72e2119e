// A sentence for everybody: shown for a while at the foot of the page, and read out by screen readers. `seen: false`
// is for what the page shows anyway.

let timer = 0;

export function say(sentence, { seen = true } = {}) {
  const place = document.getElementById("said");
  place.textContent = sentence;
  place.classList.toggle("shown", seen);
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), 4000);
}
