"use strict";

/* data-hub-copy-text="…": copy that text; the button says that it did. */
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-hub-copy-text]");
  if (!button) return;
  const said = button.querySelector("[aria-live]");
  try {
    await navigator.clipboard.writeText(button.dataset.hubCopyText);
    said.textContent = "Copied";
  } catch { // no clipboard on a page without TLS
    said.textContent = button.dataset.hubCopyText;
  }
  setTimeout(() => { said.textContent = ""; }, 5000);
});

/* Marks in the list of events what came since this browser last showed it. Ids begin with their time, so they sort. */
document.addEventListener("DOMContentLoaded", () => {
  const rows = [...document.querySelectorAll("#result_list [data-hub-row]")];
  if (!rows.length || window.location.search) return;
  const newest = rows[0].dataset.hubRow;
  let seen = null;
  try {
    seen = JSON.parse(window.localStorage.getItem("hub-seen-events"));
    window.localStorage.setItem("hub-seen-events", JSON.stringify({ id: newest, at: Date.now() }));
  } catch { return; } // no storage, or something else is in it: nothing is marked
  if (!seen || typeof seen.id !== "string" || seen.id >= newest) return;
  const first = rows.find((row) => row.dataset.hubRow <= seen.id);
  if (first) mark(first.closest("tr"), seen.at);
});

function mark(row, at) {
  const line = document.createElement("tr");
  line.className = "hub-new";
  const cell = line.appendChild(document.createElement("td"));
  cell.colSpan = row.cells.length;
  const moment = Number.isFinite(at) ? ` (${new Date(at).toLocaleString()})` : "";
  cell.textContent = `↑ New since you last looked${moment}`;
  const body = row.closest("tbody");
  const own = document.createElement("tbody");
  own.append(line);
  body.before(own);
}
