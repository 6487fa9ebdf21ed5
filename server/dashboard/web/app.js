// The dashboard: its pages by the address behind #, the key where the server wants one, and what goes wrong in words.

import { get, hasKey, keepKey } from "./api.js";
import { button, el } from "./explorer/dom.js";
import { feedOf } from "./feed.js";
import { overview } from "./overview.js";
import { comparePage, searchPage } from "./search-pages.js";
import { searchList } from "./searches.js";
import { choicesOf } from "./try-fields.js";
import { tryIt } from "./try-it.js";

const PAGES = [
  ["#/", "Overview"],
  ["#/searches", "Searches"],
  ["#/try", "Try it"],
];

const content = document.getElementById("content");
const status = document.getElementById("status");
let page = null;
let choices = null; // what forms offer; asked for once
let trouble = false;

const feed = feedOf(
  () => get("dashboard/numbers"),
  (error) => {
    if (error) fail(error);
    else if (trouble) say("");
    trouble = Boolean(error);
  },
);

// The page that an address names.
async function pageOf(hash) {
  const [, name, ...rest] = hash.split("/").map(decodeURIComponent);
  if (name === "search" && rest.length === 1) return searchPage(rest[0], report);
  if (name === "compare" && rest.length === 2) return comparePage(rest, report);
  if (name === "searches") return searchList(await known(), report);
  if (name === "try") return tryIt(await known(), report);
  return overview(feed);
}

async function known() {
  if (choices) return choices;
  const [models, described] = await Promise.all([get("v1/models"), get("openapi.json")]);
  const reasons = described.components.schemas.StopReason?.enum ?? [];
  const read = choicesOf(models, described);
  choices = { ...read, reasons };
  return choices;
}

async function go(focus) {
  const hash = location.hash || "#/";
  say("");
  drawNavigation(hash);
  page?.destroy();
  page = null;
  try {
    const next = await pageOf(hash);
    if ((location.hash || "#/") !== hash) {
      next.destroy();
      return;
    }
    show(next, focus);
  } catch (error) {
    content.replaceChildren();
    fail(error);
  }
}

function show(next, focus) {
  page = next;
  content.replaceChildren(next.element);
  const title = next.element.querySelector("h1")?.textContent;
  document.title = title ? `${title} – Espalier` : "Espalier";
  if (focus) content.focus();
}

function drawNavigation(hash) {
  const home = { search: "searches", compare: "searches" }[hash.split("/")[1]] ?? hash.split("/")[1];
  const within = (href) => href === `#/${home}`;
  document.getElementById("nav").replaceChildren(
    ...PAGES.map(([href, name]) => el("a", { href, "aria-current": within(href) ? "page" : null }, name)),
  );
}

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function report(error) {
  if (error) fail(error);
  else say("");
}

function fail(error) {
  if (error.status === 401) askForKey(hasKey() ? "The server does not know this key." : "");
  else say(error.message, true);
}

// Asks for a key, and goes on where one was.
function askForKey(why) {
  keepKey("");
  page?.destroy(); // else it would go on asking the server
  page = null;
  const key = el("input", { type: "password", id: "key", autocomplete: "off", required: true });
  const form = el(
    "form",
    {
      class: "card key",
      onsubmit: (event) => {
        event.preventDefault();
        keepKey(key.value.trim());
        go(true);
      },
    },
    el("h1", {}, "A key, please"),
    el("p", {}, "This server answers only with a key. It is kept until you close this tab."),
    el("label", { for: "key" }, "Key"),
    key,
    why && el("p", { class: "error", role: "alert" }, why),
    el("button", { type: "submit", class: "primary" }, "Open"),
  );
  show({ element: form, destroy() {} }, false);
  key.focus();
}

addEventListener("hashchange", () => go(true));
go(false);
