// Videos as they are looked at closely: played again and again, frame by frame, and several at the same moment.

import { button, el, fresh } from "./dom.js";

/** An artefact's video alone, with its controls. */
export function player(artefact) {
  const one = clip(artefact);
  return el("div", { class: "player" }, one.video, controls([one]));
}

/** Its video without any; `frames` of them are shown, `fps` a second. */
export function clip({ url, poster_url, title, kind, width, height, frames, fps }) {
  const video = el("video", { src: url, poster: poster_url, width, height, playsinline: true, preload: "auto", "aria-label": title || kind });
  video.muted = true; // a page that was only opened may play without sound alone
  return { video, frames, fps, seconds: frames / fps };
}

/** One set of controls for all of the clips: what is shown of each is of the same time. A shorter one waits at its
 * last frame. */
export function controls(clips) {
  const fps = Math.max(...clips.map((one) => one.fps));
  const longest = clips.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  const count = Math.max(1, Math.round(longest.seconds * fps));
  const id = fresh("loop");
  const toggle = button("Play", () => (playing ? halt() : play()), { class: "toggle" });
  const slider = el("input", { type: "range", min: 0, max: count - 1, value: 0, "aria-label": "Frame", oninput: () => seek(Number(slider.value)) });
  const place = el("output", { class: "frame" });
  const again = el("input", { type: "checkbox", id, checked: true });
  let playing = false;
  let at = 0;

  function show(frame) {
    at = frame;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `frame ${frame + 1} of ${count}`);
    place.textContent = `${frame + 1} / ${count}`;
  }

  /** Halt at a frame: the middle of its time, so that rounding never shows its neighbour. */
  function seek(frame) {
    halt();
    show((frame + count) % count);
    for (const one of clips) one.video.currentTime = (frameOf(one, (at + 0.5) / fps) + 0.5) / one.fps;
  }

  function halt() {
    playing = false;
    toggle.textContent = "Play";
    for (const { video } of clips) video.pause();
  }

  function play(from = at === count - 1 ? 0 : at) {
    playing = true;
    toggle.textContent = "Pause";
    for (const one of clips) {
      one.video.currentTime = Math.min(from / fps, one.seconds - 0.5 / one.fps);
      one.video.play().catch(() => {}); // halted, or gone, before it began
    }
    requestAnimationFrame(follow);
  }

  function follow() {
    if (!playing) return;
    if (!longest.video.isConnected) return halt();
    const time = longest.video.currentTime;
    if (longest.video.ended) {
      if (again.checked) return play(0);
      show(count - 1);
      return halt();
    }
    if (!longest.video.seeking) show(Math.min(count - 1, Math.floor(time * fps + 1e-3)));
    for (const one of clips) if (one !== longest) keepUp(one, time);
    requestAnimationFrame(follow);
  }

  function keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const pressed = { ArrowLeft: () => seek(at - 1), ArrowRight: () => seek(at + 1), Home: () => seek(0), End: () => seek(count - 1) };
    if (event.key === " " && !event.target.matches("button, [type=checkbox]")) pressed[" "] = () => toggle.click();
    if (!Object.hasOwn(pressed, event.key)) return;
    event.preventDefault();
    event.stopPropagation(); // in a comparison the arrows choose
    pressed[event.key]();
  }

  const bar = el(
    "div",
    { class: "controls", role: "group", "aria-label": clips.length > 1 ? "Play both in step" : "Play", onkeydown: keys },
    button("The frame before", () => seek(at - 1), { sign: "◂", "aria-keyshortcuts": "ArrowLeft" }),
    toggle,
    button("The next frame", () => seek(at + 1), { sign: "▸", "aria-keyshortcuts": "ArrowRight" }),
    slider,
    place,
    el("span", {}, again, el("label", { for: id }, " loop")),
  );
  for (const { video } of clips) video.addEventListener("click", () => (toggle.click(), slider.focus()));
  show(0);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) longest.video.addEventListener("canplay", () => play(0), { once: true });
  return bar;
}

const frameOf = ({ frames, fps }, time) => Math.min(frames - 1, Math.floor(time * fps));

/** Bring a clip to the time of the longest one, where it is off by more than a frame or has ended. */
function keepUp({ video, seconds, fps }, time) {
  if (video.seeking) return;
  if (time >= seconds) return video.pause();
  if (Math.abs(video.currentTime - time) > 1 / fps) video.currentTime = time;
  if (video.paused && !video.ended) video.play().catch(() => {});
}
