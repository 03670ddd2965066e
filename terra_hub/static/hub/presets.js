/* data-hub-set="id" data-hub-value="text": put the text into that input, as if it were typed, and show the input. */
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hub-set]");
  if (!button) return;
  event.preventDefault();
  const input = document.getElementById(button.dataset.hubSet);
  input.value = button.dataset.hubValue;
  input.closest("details")?.setAttribute("open", "");
  input.dispatchEvent(new Event("input", { bubbles: true }));
});
