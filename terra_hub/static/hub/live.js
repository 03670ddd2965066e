/* The live tail: rows from a stream of events, or by polling where that does not come through. What senders wrote
   becomes text, never HTML. */
"use strict";

(function () {
  const POLL_MS = 2000;
  const OVERLAP_MS = 15000; // ids are committed out of order: look so far back again
  const QUIET_MS = 10000; // between two announcements

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  function icon(name) {
    const made = element("span", "material-symbols-outlined", name);
    made.setAttribute("aria-hidden", "true");
    return made;
  }

  function chip(state) {
    const made = element("span", "hub-chip hub-" + state.tone);
    made.append(icon(state.icon), state.name + ": " + state.label);
    return made;
  }

  class Tail {
    constructor(root) {
      this.root = root;
      this.body = root.querySelector("tbody");
      this.most = Number(root.dataset.hubLiveMost);
      this.keys = new Set();
      this.chips = new Map(); // delivery -> its chip in the event's row
      this.waiting = [];
      this.paused = false;
      this.scrolled = false;
      this.news = 0;
      this.announcedAt = 0;
      this.places = [];
      this.find();
      this.listen();
      this.connect();
    }

    find() {
      this.state = this.root.querySelector(".hub-live-state");
      this.said = this.root.querySelector("p.hub-live-said");
      this.pauseButton = this.root.querySelector("[data-hub-live-pause]");
      this.newButton = this.root.querySelector("[data-hub-live-new]");
      this.empty = this.root.querySelector("[data-hub-live-empty]");
    }

    listen() {
      this.pauseButton.addEventListener("click", () => this.pause(!this.paused));
      this.newButton.addEventListener("click", () => { this.root.scrollIntoView(); this.flush(); });
      const top = this.root.querySelector("[data-hub-live-top]");
      new IntersectionObserver(([entry]) => {
        this.scrolled = !entry.isIntersecting;
        if (!this.held) this.flush();
      }).observe(top);
    }

    get held() { return this.paused || this.scrolled; }

    pause(paused) {
      this.paused = paused;
      this.pauseButton.setAttribute("aria-pressed", String(paused));
      this.pauseButton.replaceChildren(icon(paused ? "play_arrow" : "pause"), element("span", "", paused ? "Go on" : "Pause"));
      this.tell();
      if (!this.held) this.flush();
    }

    /* --- where rows come from --- */
    connect() {
      this.say("sync", "Connecting…");
      this.source = new EventSource(this.root.dataset.hubLive + location.search);
      this.source.addEventListener("open", () => this.say("sensors", "Live"));
      this.source.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
      this.source.addEventListener("end", (event) => {
        if (event.data === "logged_out") { this.source.close(); this.loggedOut(); }
      });
      this.source.addEventListener("error", () => {
        if (this.source.readyState === EventSource.CLOSED) this.poll();
        else this.say("sync", "Connecting again…");
      });
    }

    async poll() {
      const place = this.places.length ? this.places[0].cursor : "";
      const query = new URLSearchParams(location.search);
      if (place) query.set("after", place);
      try {
        const answer = await fetch(this.root.dataset.hubLiveRows + "?" + query, { headers: { Accept: "application/json" } });
        if (answer.redirected || answer.status === 403) { this.loggedOut(); return; }
        if (!answer.ok) throw new Error(answer.status);
        const found = await answer.json();
        this.remember(found.cursor);
        this.say("sensors", "Live, looked up every 2 seconds");
        this.take(found);
      } catch {
        this.say("sync_problem", "The hub does not answer. Trying again…");
      }
      setTimeout(() => this.poll(), POLL_MS);
    }

    remember(cursor) {
      const now = performance.now();
      this.places.push({ at: now, cursor });
      while (this.places.length > 1 && now - this.places[1].at >= OVERLAP_MS) this.places.shift();
    }

    loggedOut() {
      this.say("lock", "You are logged out, or may not look at this any more. ");
      const link = element("a", "hub-link", "Log in");
      link.href = "";
      this.state.append(link);
    }

    /* --- rows --- */
    take(message) {
      const fresh = [...new Map(message.rows.map((row) => [row.key, row])).values()].filter((row) => !this.keys.has(row.key));
      fresh.forEach((row) => this.keys.add(row.key));
      if (message.left_out) fresh.push({ kind: "gap", left_out: message.left_out, at: new Date().toISOString(), states: [] });
      this.waiting.push(...fresh);
      this.waiting.splice(0, Math.max(0, this.waiting.length - this.most));
      this.news += fresh.length;
      if (this.held) this.tell(); else this.flush();
    }

    flush() {
      this.waiting.splice(0).forEach((row) => this.add(row));
      while (this.body.rows.length > this.most) this.drop(this.body.rows[this.body.rows.length - 1]);
      this.empty.hidden = this.body.rows.length > 0;
      this.tell();
      this.announce();
    }

    drop(line) {
      this.keys.delete(line.dataset.key);
      for (const one of line.querySelectorAll("[data-delivery]")) {
        if (this.chips.get(one.dataset.delivery) === one) this.chips.delete(one.dataset.delivery);
      }
      line.remove();
    }

    add(row) {
      const line = row.kind === "gap" ? this.gap(row) : this.line(row);
      line.dataset.at = row.at;
      const later = [...this.body.rows].find((one) => one.dataset.at <= row.at);
      this.body.insertBefore(line, later || null);
      paintTimes(line); // of times.js
    }

    line(row) {
      const line = element("tr");
      line.dataset.key = row.key;
      const time = element("a", "");
      const moment = element("time", "", row.at);
      moment.dateTime = row.at;
      moment.dataset.hubTime = "time";
      time.href = row.url;
      time.append(moment);
      const kind = element("span", "hub-live-kind");
      kind.append(icon(row.kind === "event" ? "bolt" : "local_shipping"), row.kind === "event" ? "Event" : "Attempt");
      const texts = [row.type, row.provider, row.user, row.source].map((text) => element("bdi", "", text));
      for (const content of [time, kind, ...texts, this.states(row)]) {
        const cell = element("td");
        if (content.childNodes.length) cell.append(content);
        line.append(cell);
      }
      return line;
    }

    states(row) {
      const box = element("span", "hub-live-states");
      for (const state of row.states) {
        const made = chip(state);
        made.dataset.delivery = state.delivery;
        box.append(made);
        if (row.kind === "event") this.chips.set(made.dataset.delivery, made);
        else this.update(made);
      }
      if (row.more) box.append("and " + row.more + " more");
      if (row.says) box.append(element("bdi", "hub-faint", row.says));
      if (row.kind === "event" && !row.states.length) box.append(element("span", "hub-faint", "–"));
      return box;
    }

    /* An attempt came: the chip of its delivery in the event's row says the same from now on. */
    update(made) {
      const known = this.chips.get(made.dataset.delivery);
      if (!known) return;
      known.className = made.className;
      known.replaceChildren(...made.cloneNode(true).childNodes);
    }

    gap(row) {
      const line = element("tr", "hub-live-gap");
      const cell = element("td", "", row.left_out + " more came at once and were not looked at here. The lists have them.");
      cell.colSpan = 7;
      line.append(cell);
      return line;
    }

    /* --- what is said --- */
    say(name, text) {
      if (this.sentence === text) return;
      this.sentence = text;
      this.state.replaceChildren(icon(name), text);
    }

    tell() {
      const count = this.waiting.length;
      this.newButton.hidden = !(this.held && count);
      this.newButton.textContent = count + (count === 1 ? " new row" : " new rows");
    }

    announce() {
      if (!this.news || Date.now() - this.announcedAt < QUIET_MS) return;
      this.announcedAt = Date.now();
      this.said.textContent = this.news + (this.news === 1 ? " new row" : " new rows");
      this.news = 0;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const root = document.querySelector("[data-hub-live]");
    if (root) new Tail(root);
  });
})();
