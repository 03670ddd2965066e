/* Reads a payload off the page's thread: fetches the bytes, checks them as JSON in one pass, and hands out the
   children of what is unfolded. It makes no objects of the payload: it remembers where each container begins and ends,
   so 30 MB stay 30 MB, numbers keep the digits that they were sent with, and no name in them means anything. */
"use strict";

const QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c, COLON = 0x3a;
const OPEN = { 0x7b: 0x7d, 0x5b: 0x5d }; // { with }, [ with ]
const MOST_DEEP = 100000;
const SHOWN = 2000; // characters of one text
const decoder = new TextDecoder("utf-8", { ignoreBOM: true }); // what is no UTF-8 becomes U+FFFD
let bytes = new Uint8Array();
/* Containers in the order in which they begin: start, end, number of children. */
let starts = new Int32Array(1024), ends = new Int32Array(1024), counts = new Int32Array(1024), used = 0;

function added(start) {
  if (used === starts.length) [starts, ends, counts] = [starts, ends, counts].map(grown);
  starts[used] = start;
  return used++;
}

function grown(array) {
  const longer = new Int32Array(array.length * 2);
  longer.set(array);
  return longer;
}

function fail(at, wanted) {
  throw new Error(`This is not JSON: ${wanted} was expected at byte ${at}.`);
}

function skipSpace(at) {
  for (;; at++) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
  }
}

/* Return where the text that begins at a quote ends. */
function endOfText(at) {
  for (at++; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at++;
  }
  return fail(at, "the end of a text");
}

/* Return where a number, true, false or null ends. */
function endOfWord(at) {
  const start = at;
  while (at < bytes.length && isOfWord(bytes[at])) at++;
  return at === start ? fail(at, "a value") : at;
}

function isOfWord(byte) {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e
    || (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a);
}

const WORD = /^(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)$/;

function checkedWord(at) {
  const end = endOfWord(at);
  if (!WORD.test(decoder.decode(bytes.subarray(at, end)))) fail(at, "a value");
  return end;
}

/* Go through everything once, without recursion: depth is the sender's choice. */
function index() {
  const open = [];
  let at = skipSpace(0);
  do at = closed(readValue(at, open), open); while (open.length);
  if (skipSpace(at) < bytes.length) fail(at, "the end");
}

let inEmpty = false; // what was read last is the beginning of a container that has nothing in it

/* Read one value: where it is a container, its beginning and its first value. */
function readValue(at, open) {
  inEmpty = false;
  for (;;) {
    const byte = bytes[at];
    if (byte === QUOTE) return endOfText(at);
    if (!OPEN[byte]) return checkedWord(at);
    if (open.length >= MOST_DEEP) fail(at, "less depth");
    open.push(added(at));
    at = skipSpace(at + 1);
    inEmpty = bytes[at] === OPEN[byte];
    if (inEmpty) return at;
    at = afterName(at, byte);
  }
}

/* Return where the value begins, after its name where it has one. */
function afterName(at, container) {
  if (container !== 0x7b) return at;
  if (bytes[at] !== QUOTE) fail(at, "a name");
  at = skipSpace(endOfText(at));
  return bytes[at] === COLON ? skipSpace(at + 1) : fail(at, "a colon");
}

/* After a value: close what ends here, and go on to the next value of what is still open. */
function closed(at, open) {
  for (let filled = !inEmpty; open.length;) {
    const container = open[open.length - 1], kind = bytes[starts[container]];
    at = skipSpace(at);
    if (filled) counts[container]++;
    if (filled && bytes[at] === COMMA) return afterName(skipSpace(at + 1), kind);
    if (bytes[at] !== OPEN[kind]) fail(at, filled ? "a comma or an end" : "an end");
    ends[open.pop()] = ++at;
    filled = true;
  }
  return at;
}

/* Return the number of the container that begins at a byte: they are sorted. */
function containerAt(start) {
  let low = 0, high = used - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle] < start) low = middle + 1; else high = middle;
  }
  return low;
}

function endOfValue(at) {
  if (bytes[at] === QUOTE) return endOfText(at);
  return OPEN[bytes[at]] ? ends[containerAt(at)] : endOfWord(at);
}

/* Return the text between two quotes as it reads, and as it stands where it does not. */
function textOf(start, end) {
  const source = decoder.decode(bytes.subarray(start, end));
  try { return JSON.parse(source); } catch { return source.slice(1, -1); }
}

function described(at) {
  const end = endOfValue(at);
  const about = { at, bytes: end - at };
  if (OPEN[bytes[at]]) return { ...about, kind: bytes[at] === 0x7b ? "object" : "array", count: counts[containerAt(at)] };
  if (bytes[at] !== QUOTE) return { ...about, kind: "word", text: decoder.decode(bytes.subarray(at, end)) };
  const text = textOf(at, end);
  return { ...about, kind: "text", text: text.slice(0, SHOWN), left: Math.max(0, text.length - SHOWN) };
}

/* Return up to `most` children of the container at `start`, and where to go on. */
function children(start, from, number, most) {
  const named = bytes[start] === 0x7b, end = ends[containerAt(start)] - 1, found = [];
  let at = from || skipSpace(start + 1);
  while (at < end && found.length < most) {
    let name = number + found.length;
    if (named) {
      const stop = endOfText(at);
      name = textOf(at, stop);
      at = afterName(at, 0x7b);
    }
    const child = described(at);
    found.push({ name, ...child });
    at = skipSpace(at + child.bytes);
    if (bytes[at] === COMMA) at = skipSpace(at + 1);
  }
  return { children: found, next: at < end ? { from: at, number: number + found.length } : null };
}

async function load(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error("The payload could not be read. Load the page anew.");
  bytes = new Uint8Array(await answer.arrayBuffer());
  index();
  return described(skipSpace(0));
}

const TASKS = {
  load: ({ url }) => load(url),
  children: ({ at, from, number, most }) => children(at, from, number, most),
  text: ({ at }) => textOf(at, endOfValue(at)),
  all: () => decoder.decode(bytes),
};

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, value: await TASKS[data.task](data) });
  } catch (error) {
    self.postMessage({ id: data.id, error: error.message });
  }
};
