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
