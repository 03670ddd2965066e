/* Times: in UTC or in the browser's own zone, as was chosen; how long ago they are goes on. Each <time> says its moment
   in "datetime"; data-hub-time says what stands in it: one of SAY. Without scripts UTC stands there. */
"use strict";

const LATER_MS = 30_000; // between two looks at how long ago something is
const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function zone() {
  try {
    return localStorage.getItem("hubTimes") === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC";
  } catch {
    return "UTC";
  }
}

/* "2026-03-12 06:00:12 UTC": the hub's own form, in a zone. Intl knows every change of the clocks. */
function exactIn(moment, timeZone, short) {
  const named = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const format = new Intl.DateTimeFormat("en-GB", { ...named, hourCycle: "h23", timeZone, timeZoneName: "short" });
  const part = Object.fromEntries(format.formatToParts(moment).map(({ type, value }) => [type, value]));
  const day = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}`;
  return short ? day : `${day}:${part.second} ${part.timeZoneName}`;
}

/* "14:05 UTC", with its day where that is not today: as destinations.shown.clock says it. */
function clockIn(moment, timeZone) {
  const [said, today] = [moment, new Date()].map((one) => exactIn(one, timeZone, false).split(/[- ]/));
  const [year, month, day, time, ...zoneName] = said;
  const date = said.slice(0, 3).join() === today.slice(0, 3).join() ? "" : `${Number(day)} ${MONTHS[month - 1]} `;
  return `${date}${year === today[0] ? "" : `${year} `}${time.slice(0, 5)} ${zoneName.join(" ")}`;
}

/* What stands under a chart, where a zone's name has no room: "14:05", and "22 Nov 14:05" where the chart is long. */
function axisIn(moment, timeZone, withDay) {
  const [, month, day, time] = exactIn(moment, timeZone, true).split(/[- ]/);
  return withDay ? `${day} ${MONTHS[month - 1]} ${time}` : time;
}

function count(number, unit) {
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}

/* The same words as destinations.shown.relative. */
function relativeTo(moment, now, depth) {
  const seconds = (moment - now) / 1000;
  let left = Math.abs(seconds);
  if (left < 5) return "now";
  const said = [];
  if (left < 60) said.push(`${Math.round(left)} s`);
  for (const [unit, length] of left < 60 ? [] : UNITS) {
    const number = Math.floor(left / length);
    left -= number * length;
    if (number) said.push(count(number, unit));
    else if (said.length) break; // two units that stand beside each other, as Django says it
    if (said.length === depth) break;
  }
  return seconds > 0 ? `in ${said.join(", ")}` : `${said.join(", ")} ago`;
}

const SAY = {
  axis: (moment, timeZone) => axisIn(moment, timeZone, false),
  "axis-day": (moment, timeZone) => axisIn(moment, timeZone, true),
  clock: clockIn,
  exact: (moment, timeZone) => exactIn(moment, timeZone, false),
  short: (moment, timeZone) => exactIn(moment, timeZone, true),
  relative: (moment) => relativeTo(moment, Date.now(), 1),
  time: (moment, timeZone) => exactIn(moment, timeZone, false).split(" ")[1],
  "relative-2": (moment) => relativeTo(moment, Date.now(), 2),
};

function paintTimes(root = document) {
  const timeZone = zone();
  for (const time of root.querySelectorAll("time[datetime][data-hub-time]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    const text = SAY[time.dataset.hubTime]?.(moment, timeZone);
    if (text && text !== time.textContent) time.textContent = text; // no change, nothing to announce
    time.title = exactIn(moment, "UTC", false);
  }
}

function paintSwitch() {
  const chosen = zone() === "UTC" && localStorage.getItem("hubTimes") !== "local" ? "utc" : "local";
  for (const button of document.querySelectorAll("[data-hub-times]")) {
    button.setAttribute("aria-pressed", String(button.dataset.hubTimes === chosen));
  }
}

function paintAll() {
  paintSwitch();
  paintTimes();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hub-times]");
  if (!button) return;
  localStorage.setItem("hubTimes", button.dataset.hubTimes);
  paintAll();
});
document.addEventListener("DOMContentLoaded", paintAll);
document.addEventListener("htmx:afterSettle", (event) => paintTimes(event.target));
window.addEventListener("storage", paintAll); // chosen in another window
setInterval(() => { if (!document.hidden) paintTimes(); }, LATER_MS);
