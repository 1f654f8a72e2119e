// Runs before the page is drawn, so that a dark page never flashes white. The choice is this browser's alone.
"use strict";
(() => {
  const choices = ["system", "light", "dark"];
  const words = {
    system: ["◐", "as the system has them"],
    light: ["☀", "light"],
    dark: ["☾", "dark"],
  };
  const kept = () => {
    try {
      return choices.includes(localStorage.theme) ? localStorage.theme : "system";
    } catch {
      return "system"; // storage may be switched off
    }
  };
  let chosen = kept();
  const show = () => {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = words[chosen][0];
    button.setAttribute("aria-label", `Colours: ${words[chosen][1]}`);
  };
  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme").addEventListener("click", () => {
      chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
      try {
        localStorage.theme = chosen;
      } catch {
        // then it holds until the page is closed
      }
      show();
    });
  });
})();
