// Live updates, times in the browser's zone, buttons that copy. Every page works without it.
"use strict";

const POLL_MS = 5000;
const LEAST_MS = 1000;

// Times

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const clock = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });

function localise(root) {
  if (zone === "UTC" || zone === "Etc/UTC") return;
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime()) || time.dataset.local) continue;
    const utc = time.textContent;
    time.dataset.local = "yes";
    time.title = utc;
    time.textContent = clock.format(moment) + " ";
    const beside = document.createElement("span");
    beside.className = "utc";
    beside.textContent = utc.slice(11);
    time.append(beside);
  }
}

// Copying: the clipboard is there on HTTPS and localhost alone; elsewhere the text is selected.

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

function addCopies(root) {
  for (const text of root.querySelectorAll("[data-copy]")) {
    if (text.previousElementSibling && text.previousElementSibling.classList.contains("copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy small";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        select(text);
        button.textContent = "Selected: press Ctrl+C";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
    });
    text.before(button);
  }
}

// Live updates: the page is fetched anew, and its regions are replaced where they differ.

const live = document.body.dataset.live;
const state = document.getElementById("stream");
let timer = 0;
let isFetching = false;
let isWanted = false;
let last = 0;

function say(text) {
  if (state === null) return;
  state.hidden = text === "";
  if (state.textContent !== text) state.textContent = text;
}

function isBusy(region) {
  const active = document.activeElement;
  const types = active !== null && region.contains(active) && !active.matches(CHOOSERS) &&
    /^(INPUT|TEXTAREA|SELECT|BUTTON)$/.test(active.tagName);
  const selection = getSelection();
  return types || (selection !== null && !selection.isCollapsed && region.contains(selection.anchorNode));
}

// Rows that are chosen: their number is told, and all of a page are chosen at once.

const chooser = document.getElementById("choose");
const EVERY = "[data-choose-all]";
const CHOOSERS = `[form="choose"], ${EVERY}`;

function boxes(root) {
  return [...root.querySelectorAll('input[type="checkbox"][form="choose"]')];
}

function tellChosen() {
  if (chooser === null) return;
  const all = boxes(document);
  const chosen = all.filter((box) => box.checked).length;
  chooser.querySelector("[data-chosen]").textContent = chosen === 0 ? "Tick rows to choose them:" : `${chosen} chosen:`;
  chooser.classList.toggle("has", chosen > 0);
  for (const button of chooser.querySelectorAll("button")) button.disabled = chosen === 0;
  const every = document.querySelector(EVERY);
  if (every === null) return;
  every.hidden = false;
  every.checked = chosen > 0 && chosen === all.length;
  every.indeterminate = chosen > 0 && chosen < all.length;
}

function choose(event) {
  const box = event.target;
  if (box.matches(EVERY)) for (const one of boxes(document)) one.checked = box.checked;
  if (box.matches(CHOOSERS)) tellChosen();
}

// What is folded open, ticked and scrolled stays so.
function replace(old, fresh) {
  const chosen = new Set(boxes(old).filter((box) => box.checked).map((box) => box.value));
  for (const box of boxes(fresh)) box.checked = chosen.has(box.value);
  const openOnes = [...old.querySelectorAll("details")].map((details) => details.open);
  [...fresh.querySelectorAll("details")].forEach((details, index) => { if (openOnes[index]) details.open = true; });
  const scrolls = [...old.querySelectorAll(".scroll, pre.log")].map((element) => [element.scrollLeft, element.scrollTop]);
  const active = document.activeElement;
  const is = (element) => element.tagName + (element.getAttribute("href") ?? element.getAttribute("aria-label"));
  const focused = active !== null && old.contains(active) && active.matches(`a[href], ${CHOOSERS}`) ? is(active) : null;
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll, pre.log").forEach((element, index) => {
    if (scrolls[index]) [element.scrollLeft, element.scrollTop] = scrolls[index];
  });
  if (focused !== null) {
    const again = [...fresh.querySelectorAll(`a[href], ${CHOOSERS}`)].find((element) => is(element) === focused);
    if (again) again.focus({ preventScroll: true });
  }
}

async function refresh() {
  isFetching = true;
  isWanted = false;
  last = Date.now();
  const slow = setTimeout(() => say("not live: the service takes long to answer"), POLL_MS);
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.href = answer.url;
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const ids = (page) => [...page.querySelectorAll("[data-region]")].map((region) => region.id).join();
    // It ended, or something new is there that the page has no place for: the failure and the plan of a restart.
    if (ids(fresh) !== ids(document) || fresh.body.dataset.live !== document.body.dataset.live) {
      location.reload();
      return;
    }
    localise(fresh);
    addCopies(fresh);
    for (const every of fresh.querySelectorAll(EVERY)) every.hidden = false;
    for (const region of document.querySelectorAll("[data-region]")) {
      const next = fresh.getElementById(region.id);
      if (next !== null && !isBusy(region) && next.innerHTML !== region.innerHTML) replace(region, document.adoptNode(next));
    }
    if (fresh.title !== document.title) document.title = fresh.title;
    tellChosen();
    say("");
  } catch {
    say("not live: the service does not answer, trying again");
    later(POLL_MS);
  } finally {
    clearTimeout(slow);
    isFetching = false;
    if (isWanted) later(LEAST_MS);
  }
}

function later(pause) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (document.visibilityState === "visible") refresh();
    else isWanted = false;
  }, pause);
}

// Something has happened: the page is drawn anew, once a second at most.
function want() {
  if (isFetching) {
    isWanted = true;
    return;
  }
  const pause = Math.max(50, last + LEAST_MS - Date.now());
  if (isWanted) return;
  isWanted = true;
  later(pause);
}

function hear(message) {
  if (message.kind === "lost") {
    say("not live: the service does not answer, trying again");
  } else if (message.kind === "event") {
    if (live === "all" || live === message.id) want();
  } else {
    // What happened before the stream was there is in no event of it.
    say("");
    want();
  }
}

function follow() {
  // Not everything has events: what else changes is looked at.
  if (live === "poll" || typeof SharedWorker === "undefined") {
    setInterval(() => { if (document.visibilityState === "visible" && !isFetching) refresh(); }, POLL_MS);
    return;
  }
  const { port } = new SharedWorker(document.body.dataset.stream, { name: "oxbatch" });
  port.onmessage = (message) => hear(message.data);
  const report = () => {
    const isSeen = document.visibilityState === "visible";
    port.postMessage(isSeen ? "seen" : "hidden");
    return isSeen;
  };
  document.addEventListener("visibilitychange", () => { if (report()) want(); });
  addEventListener("pagehide", () => port.postMessage("bye"));
  addEventListener("pageshow", (event) => { if (event.persisted) { report(); want(); } });
  report();
}

localise(document);
addCopies(document);
document.addEventListener("change", choose);
addEventListener("pageshow", tellChosen);
tellChosen();
if (live) follow();
