/* The payload as a tree: only what is unfolded is there. Whatever it holds becomes text, by textContent alone. */
"use strict";

const CHILDREN_AT_ONCE = 100;
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/* As destinations.texts.visible: nothing stays invisible or turns the line round. */
function visibleText(text) {
  return text.replace(HIDDEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function sizeOf(count) {
  if (count < 1024) return `${count} bytes`;
  return count < 1048576 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1048576).toFixed(1)} MiB`;
}

function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function madeButton(className, text, label, action) {
  const button = made("button", className, text);
  button.type = "button";
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
  return button;
}

/* Asks the worker, and returns what it answers. */
function asker(url) {
  const worker = new Worker(url);
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Error(data.error)); else resolve(data.value);
  };
  worker.onerror = () => waiting.forEach(({ reject }) => reject(new Error("The payload could not be read as a tree.")));
  return (task, what = {}) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    worker.postMessage({ id: last, task, ...what });
  });
}

class Tree {
  constructor(place, ask) {
    this.place = place;
    this.ask = ask;
    this.status = made("p", "hub-faint");
    this.status.setAttribute("role", "status");
  }

  async start() {
    this.place.hidden = false;
    this.status.textContent = `Loading ${sizeOf(Number(this.place.dataset.hubSize))} …`;
    this.place.append(this.status);
    try {
      const root = await this.ask("load", { url: new URL(this.place.dataset.hubPayload, document.baseURI).href });
      document.getElementById("payload-text").open = false;
      this.show(root);
    } catch (error) {
      this.status.textContent = visibleText(error.message);
    }
  }

  show(root) {
    this.status.textContent = "";
    const copy = madeButton("hub-button", "Copy payload", "", () => this.copy(this.ask("all"), copy));
    const bar = made("p", "hub-views");
    bar.append(copy);
    const list = made("ul", "hub-tree");
    list.tabIndex = 0;
    list.setAttribute("aria-label", "The payload as a tree");
    list.append(this.node({ ...root, name: null }, "$"));
    this.place.prepend(bar, list);
    list.querySelector("button[aria-expanded]")?.click();
  }

  async copy(text, button) {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(await text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser did not let it be copied";
    }
    setTimeout(() => { button.textContent = before; }, 2500);
  }

  node(about, path) {
    const item = made("li"), line = made("div", "hub-node");
    const holds = about.kind === "object" || about.kind === "array";
    if (holds && about.count) line.append(this.toggle(about, path, item));
    if (about.name !== null) line.append(made("span", "hub-key", `${visibleText(String(about.name))}:`));
    line.append(holds ? this.summary(about) : this.value(about));
    if (about.left) line.append(this.rest(about, line));
    line.append(madeButton("hub-path", "copy path", `Copy the path ${visibleText(path)}`, (event) =>
      this.copy(Promise.resolve(path), event.currentTarget)));
    item.append(line);
    return item;
  }

  summary({ kind, count, bytes }) {
    const what = kind === "object" ? ["{", "field", "}"] : ["[", "item", "]"];
    const counted = `${count.toLocaleString("en")} ${what[1]}${count === 1 ? "" : "s"}, ${sizeOf(bytes)}`;
    return made("span", "hub-note", count ? `${what[0]}…${what[2]} ${counted}` : `${what[0]}${what[2]}`);
  }

  value({ kind, text }) {
    return made("span", "hub-value", kind === "text" ? `"${visibleText(text)}"` : visibleText(text));
  }

  rest(about, line) {
    const more = madeButton("hub-link", `${about.left.toLocaleString("en")} more characters`, "", async () => {
      const value = line.querySelector(".hub-value");
      value.textContent = `"${visibleText(await this.ask("text", { at: about.at }))}"`;
      more.remove();
    });
    return more;
  }

  toggle(about, path, item) {
    const button = madeButton("", "▸", "", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      button.textContent = open ? "▸" : "▾";
      if (open) item.querySelector(":scope > ul").remove(); else this.unfold(about, path, item);
    });
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `Fold or unfold ${visibleText(path)}`);
    return button;
  }

  unfold(about, path, item) {
    const list = made("ul");
    item.append(list);
    return this.more(about, path, list, { from: 0, number: 0 });
  }

  async more(about, path, list, place) {
    const asked = { at: about.at, from: place.from, number: place.number, most: CHILDREN_AT_ONCE };
    const { children, next } = await this.ask("children", asked);
    list.append(...children.map((child) => this.node(child, path + this.step(child.name))));
    if (!next) return;
    const left = about.count - next.number;
    const item = made("li"), words = `Show ${Math.min(CHILDREN_AT_ONCE, left)} more of ${left.toLocaleString("en")}`;
    item.append(madeButton("hub-button", words, "", () => {
      item.remove();
      this.more(about, path, list, next);
    }));
    list.append(item);
  }

  step(name) {
    if (typeof name === "number") return `[${name}]`;
    return PLAIN_NAME.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("payload-tree");
  if (place) new Tree(place, asker(place.dataset.hubWorker)).start();
});
