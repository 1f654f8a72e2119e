// A sentence for everybody: shown for a while at the foot of the page, and read out by screen readers.

let timer = 0;

export function say(sentence) {
  const place = document.getElementById("said");
  place.textContent = sentence;
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), 6000);
}
