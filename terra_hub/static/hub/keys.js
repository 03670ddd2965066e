/* The keyboard: g and a letter go somewhere, j and k move in a list, r goes to Resend, / searches, ? helps.
   Nothing of it while somebody types, and nothing with Ctrl, Alt or Command. */
"use strict";

const GO_WITHIN_MS = 1500;
let wentAt = -Infinity; // when "g" was pressed

function typing(target) {
  return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;
}

function rows() {
  return [...document.querySelectorAll("#result_list tbody tr, [data-hub-rows] > *")].filter((row) => row.querySelector("a"));
}

/* Move the focus to the link of another row: a screen reader says it, and Enter opens it. */
function move(by) {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  next?.querySelector("a").focus();
  next?.scrollIntoView({ block: "nearest" });
}

function go(letter) {
  const link = document.querySelector(`[data-hub-go="${CSS.escape(letter)}"]`);
  if (link) window.location.assign(link.href);
}

function show(id) {
  const dialog = document.getElementById(id);
  if (dialog && !dialog.open) dialog.showModal();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  r: () => document.querySelector("[data-hub-key=r]")?.focus(),
  "/": () => document.querySelector("[data-hub-search], #searchbar")?.focus(),
  "?": () => show("hub-keys"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target) || document.querySelector("dialog[open]")) return;
  const gone = performance.now() - wentAt < GO_WITHIN_MS;
  wentAt = event.key === "g" ? performance.now() : -Infinity;
  if (gone && event.key !== "g") {
    event.preventDefault();
    go(event.key);
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

/* data-hub-open="id": a button that opens a dialog. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hub-open]");
  if (button) show(button.dataset.hubOpen);
});

/* Switches that only scripts can serve are shown where there are scripts. */
document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[data-hub-scripted]")) part.hidden = false;
});
