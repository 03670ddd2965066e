/* The hub's own behaviour on admin pages. Everything works without it, only less comfortably. */
"use strict";

/* data-hub-copy="id": copy the text of that element. */
async function copy(button) {
  const label = button.querySelector("span:last-child");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.hubCopy).textContent);
    label.textContent = "Copied";
  } catch {
    window.getSelection().selectAllChildren(document.getElementById(button.dataset.hubCopy));
    label.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { label.textContent = before; }, 2500);
}

/* data-hub-fill="id" data-hub-lines="a b c": add the lines that a text area does not have yet. */
function fill(button) {
  const area = document.getElementById(button.dataset.hubFill);
  const lines = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const missing = button.dataset.hubLines.split(" ").filter((line) => !lines.includes(line));
  area.value = [...lines, ...missing].join("\n");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hub-copy], [data-hub-fill]");
  if (!button) return;
  event.preventDefault();
  if (button.dataset.hubCopy) copy(button); else fill(button);
});

/* data-hub-only-if="name" data-hub-values="a b": show the field while the one of that name has one of these values.
   One that an error stands at is shown, too. */
function showWhatBelongs() {
  for (const field of document.querySelectorAll("[data-hub-only-if]")) {
    const chosen = field.form.elements[field.dataset.hubOnlyIf].value;
    const row = field.closest(".form-row");
    row.hidden = !field.dataset.hubValues.split(" ").includes(chosen) && !row.querySelector(".errors");
  }
}

document.addEventListener("change", showWhatBelongs);
document.addEventListener("DOMContentLoaded", showWhatBelongs);
window.addEventListener("pageshow", showWhatBelongs); // the browser's "back" puts values in again
