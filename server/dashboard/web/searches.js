// The list of recent searches, with filters, from which one is opened or two are compared.

import { get } from "./api.js";
import { button, count, el, number, seconds, short, table } from "./explorer/dom.js";

const EVERY = 3000; // milliseconds
const PAGE = 50; // searches that are asked for at once

const STATES = ["running", "finished", "failed", "cancelled"];

// The page. `report` tells people what went wrong, null that all is well, `strategies` (by name) and `reasons` are the choices of the filters.
export function searchList({ strategies, reasons }, report) {
  const filters = {
    strategy: choice("Strategy", Object.keys(strategies)),
    state: choice("State", STATES),
    stop_reason: choice("Ended by", reasons),
  };
  const words = el("input", { type: "search", id: "words", oninput: () => draw() });
  const list = el("div");
  const more = button("Earlier searches", () => load(true));
  const comparing = button("Compare the two", () => (location.hash = `#/compare/${[...marked].join("/")}`), { disabled: true });
  const told = el("p", { class: "quiet", role: "status" });
  const marked = new Set();
  let searches = [];
  let further = false; // whether earlier ones have been asked for; the list then stands still
  let turn = 0; // counts what was asked: only the latest reply is wanted, and none once the page is gone
  let timer = 0;

  const load = async (earlier) => {
    clearTimeout(timer);
    const mine = (turn += 1);
    const query = Object.fromEntries(Object.entries(filters).map(([name, filter]) => [name, filter.value()]));
    try {
      const page = await get("v1/searches", { limit: PAGE, ...query, after: earlier ? searches.at(-1)?.id : null });
      if (mine !== turn) return;
      report(null);
      searches = earlier ? [...searches, ...page.data] : page.data;
      further = earlier;
      more.hidden = !page.has_more;
      draw();
    } catch (error) {
      if (mine !== turn) return;
      report(error);
    }
    if (!further) timer = setTimeout(load, EVERY);
  };
  const draw = () => {
    const wanted = words.value.trim().toLowerCase();
    const found = searches.filter((each) => !wanted || [each.question, each.answer, each.id, each.model].join(" ").toLowerCase().includes(wanted));
    const focused = document.activeElement?.dataset?.search;
    list.replaceChildren(table("Searches, the latest first", HEADS, found.map((each) => rowOf(each, marked, mark))));
    if (focused) list.querySelector(`[data-search="${CSS.escape(focused)}"]`)?.focus();
    const some = found.length ? `${found.length} searches` : "No search is kept that fits.";
    if (told.textContent !== some) told.textContent = some;
  };
  const mark = (id, on) => {
    if (on) marked.add(id);
    else marked.delete(id);
    comparing.disabled = marked.size !== 2;
    comparing.textContent = marked.size < 2 ? `Compare: mark ${2 - marked.size} more` : marked.size === 2 ? "Compare the two" : "Compare: only two";
  };
  for (const filter of Object.values(filters)) filter.select.addEventListener("change", () => load(false));
  mark(null, false);
  load(false);

  const element = el(
    "div",
    {},
    el("h1", {}, "Searches"),
    el(
      "form",
      { class: "filters", role: "search", "aria-label": "Searches", onsubmit: (event) => event.preventDefault() },
      Object.values(filters).map((filter) => filter.element),
      el("label", {}, "With the words ", words),
      comparing,
    ),
    told,
    list,
    more,
  );
  return { element, destroy: () => ((turn += 1), clearTimeout(timer)) };
}

const HEADS = [
  ["Compare"],
  ["Question"],
  ["Strategy", "spare"], // left out where there is little room
  ["State"],
  ["Answer"],
  ["Value", "num"],
  ["Nodes", "num spare"],
  ["Tokens", "num spare"],
  ["Took", "num spare"],
  ["Began", "num spare"],
];

function rowOf(search, marked, mark) {
  const question = short(search.question ?? search.id, 90);
  const box = el("input", {
    type: "checkbox",
    "aria-label": `Compare: ${question}`,
    "data-search": `box ${search.id}`,
    onchange: (event) => mark(search.id, event.target.checked),
  });
  box.checked = marked.has(search.id);
  const link = el("a", { href: `#/search/${encodeURIComponent(search.id)}`, "data-search": `link ${search.id}` }, question);
  const why = search.stop_reason ?? search.error?.code ?? "";
  return el(
    "tr",
    {},
    el("td", {}, box),
    el("td", { class: "question" }, link),
    el("td", { class: "spare" }, search.strategy),
    el("td", {}, el("span", { class: `state ${search.state}` }, search.state), why && el("span", { class: "quiet" }, ` · ${why}`)),
    el("td", {}, search.answer === null ? "–" : short(search.answer, 40)),
    el("td", { class: "num" }, number(search.value)),
    el("td", { class: "num spare" }, search.nodes ? count(search.nodes) : "–"),
    el("td", { class: "num spare" }, count(search.tokens.generated)),
    el("td", { class: "num spare" }, seconds(search.seconds)),
    el("td", { class: "num spare" }, new Date(search.created * 1000).toLocaleTimeString("en-GB")),
  );
}

function choice(name, values) {
  const options = [["any", ""], ...values.map((value) => [value, value])].map(([text, value]) => el("option", { value }, text));
  const select = el("select", {}, options);
  return { select, element: el("label", {}, `${name} `, select), value: () => select.value };
}
