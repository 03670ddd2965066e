/* Light or dark, before the first paint: what was chosen, or else what the system says, also when that changes. */
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function chosenTheme() {
  try {
    return JSON.parse(localStorage.getItem("adminTheme")) || "auto";
  } catch {
    return "auto";
  }
}

function paint() {
  const chosen = chosenTheme();
  const isDark = chosen === "dark" || (chosen !== "light" && dark.matches);
  document.documentElement.classList.toggle("dark", isDark);
  document.documentElement.style.colorScheme = isDark ? "dark" : "light";
  for (const button of document.querySelectorAll("[data-hub-theme]")) {
    button.setAttribute("aria-pressed", String(button.dataset.hubTheme === chosen));
  }
}

paint();
dark.addEventListener("change", paint);
document.addEventListener("DOMContentLoaded", paint);
window.addEventListener("storage", paint); // chosen in another window
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hub-theme]");
  if (!button) return;
  localStorage.setItem("adminTheme", JSON.stringify(button.dataset.hubTheme));
  paint();
});
