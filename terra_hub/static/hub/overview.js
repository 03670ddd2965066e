/* The overview renews its numbers every half minute: not in a window that nobody sees, and not under a reader's hands. */
"use strict";

function isOverview(event) {
  return event.detail.elt?.id === "overview";
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isOverview(event) && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id !== "overview") return;
  const read = event.target.querySelector("details[open]") !== null;
  const answered = event.detail.xhr.status === 200 && event.detail.serverResponse.includes('id="overview"');
  if (read || !answered) event.detail.shouldSwap = false; // such as the log-in page, when the session is over
});
