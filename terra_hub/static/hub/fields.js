/* What is typed into a form: spaces that came with a paste, and what is kept while somebody goes back and forth. */
"use strict";

(() => {
  /* data-hub-trim: take the spaces round a pasted value away, and say so. */
  const trim = (input) => {
    const value = input.value.trim();
    if (value === input.value) return;
    input.value = value;
    notice(input, "Spaces around it were removed.");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const notice = (input, text) => {
    let line = input.parentElement.querySelector("[data-hub-notice]");
    if (!line) {
      line = document.createElement("p");
      line.dataset.hubNotice = "";
      line.className = "hub-notice";
      line.setAttribute("role", "status");
      input.insertAdjacentElement("afterend", line);
    }
    line.textContent = "";
    requestAnimationFrame(() => { line.textContent = text; }); // a live region tells what changes in it
  };

  document.addEventListener("paste", (event) => {
    if (event.target.hasAttribute?.("data-hub-trim")) setTimeout(() => trim(event.target));
  });
  document.addEventListener("change", (event) => {
    if (event.target.hasAttribute?.("data-hub-trim")) trim(event.target);
  });

  /* data-hub-draft="user type": what is typed into a new destination's form is kept in this tab until it is saved, and
     with it the id that the destination is going to have: what was set up on the other side for it stays right.
     Never a secret: credentials are left out, and so is what is marked data-hub-unkept. */
  const panel = () => document.querySelector("[data-hub-draft]");
  const COMMON = new Set(["name", "event_types", "more_event_types", "sources", "schedule", "timeout_s", "concurrency", "disable_after_hours"]);
  /* What means the same in every type that has it: it is not typed again where somebody changes their mind. */
  const SHARED = new Set(["host", "database", "username", "bucket", "prefix", "region"].map((name) => `config.${name}`));
  const keys = (mark) => {
    const [user, type] = mark.dataset.hubDraft.split(" ");
    return { common: `hub-draft ${user}`, shared: `hub-draft ${user} *`, own: `hub-draft ${user} ${type}` };
  };
  const stored = (key) => JSON.parse(sessionStorage.getItem(key) || "{}");
  const kept = (input) => (input.name.startsWith("config.") || input.name === "draft" || COMMON.has(input.name)) && !("hubUnkept" in input.dataset) && input.type !== "password";
  const isBox = (input) => input.type === "checkbox";
  const keyOf = (input) => (isBox(input) ? `${input.name} ${input.value}` : input.name);
  const valueOf = (input) => (isBox(input) ? input.checked : input.value);

  const keep = (mark) => {
    const values = { common: {}, shared: stored(keys(mark).shared), own: {} };
    for (const input of mark.closest("form").elements) {
      if (!input.name || !kept(input)) continue;
      values[COMMON.has(input.name) ? "common" : "own"][keyOf(input)] = valueOf(input);
      if (SHARED.has(input.name) && input.value && input.value !== input.defaultValue) values.shared[input.name] = input.value;
    }
    for (const [part, key] of Object.entries(keys(mark))) sessionStorage.setItem(key, JSON.stringify(values[part]));
  };

  const hidden = (mark, name) => mark.closest("form").elements[name]?.closest(".form-row")?.hidden;

  /* Put back what was kept, where the page's own value still stands. */
  const restore = (mark) => {
    const [common, shared, own] = Object.values(keys(mark)).map(stored);
    const values = { ...common, ...own };
    for (const [name, value] of Object.entries(shared)) if (!own[name] && !hidden(mark, name)) values[name] = value;
    const changed = [...mark.closest("form").elements].filter((input) => {
      if (!input.name || !kept(input) || !(keyOf(input) in values) || values[keyOf(input)] === valueOf(input)) return false;
      if (isBox(input)) input.checked = values[keyOf(input)]; else input.value = values[keyOf(input)];
      return true;
    });
    for (const input of changed) for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
  };

  /* After a Save that was refused: into the first field that is wrong, and not where Django puts the cursor. */
  window.addEventListener("load", () => {
    const wrong = [...document.querySelectorAll("#content-main form [aria-invalid=true]")];
    wrong.find((input) => input.checkVisibility())?.focus();
  });

  const forget = () => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith("hub-draft")) sessionStorage.removeItem(key);
  };

  /* Leaving loses nothing while no secret is typed: then Unfold's question is not asked. */
  window.addEventListener("beforeunload", (event) => {
    const mark = panel();
    const typed = mark && [...mark.closest("form").elements].some((input) => input.name.startsWith("credentials.") && input.value);
    if (mark && !typed) event.stopImmediatePropagation();
  }, true);

  const SENT = "hub-draft-sent";
  for (const kind of ["input", "change"]) {
    document.addEventListener(kind, (event) => {
      const mark = panel();
      if (mark && event.target.form === mark.closest("form")) keep(mark);
    });
  }
  document.addEventListener("submit", (event) => {
    const mark = panel();
    if (mark && event.target === mark.closest("form") && !event.submitter?.formAction.includes("/check/")) sessionStorage.setItem(SENT, "1");
  });
  document.addEventListener("DOMContentLoaded", () => {
    const mark = panel();
    const sent = sessionStorage.getItem(SENT);
    if (sent && !mark) forget(); // it was saved
    sessionStorage.removeItem(SENT);
    if (mark && !sent) restore(mark); // after an error the page itself has what was typed
  });
})();
