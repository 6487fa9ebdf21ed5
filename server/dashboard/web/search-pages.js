// One search in full, and two side by side.

import { get } from "./api.js";
import { button, count, el, number, seconds, table } from "./explorer/dom.js";
import { mountExplorer } from "./explorer/explorer.js";

const NAMES = ["First", "Second"];
const EVERY = 1500; // milliseconds after which a search that still runs is asked for again

// The page of one search.
export function searchPage(id, report) {
  const place = el("div");
  const element = el("div", {}, el("p", { class: "crumbs" }, el("a", { href: "#/searches" }, "← Searches")), place);
  const trace = {}; // one and the same while the search runs: the explorer keeps what is chosen in it
  let explorer = null;
  let timer = 0;
  let gone = false;
  const load = async () => {
    try {
      const now = await traceOf(id);
      if (gone) return;
      Object.assign(trace, now);
      if (explorer) explorer.grew();
      else explorer = mountExplorer(place, trace, { level: 1 });
      if (trace.state === "running") timer = setTimeout(load, EVERY);
    } catch (error) {
      if (!gone) report(error);
    }
  };
  load();
  return {
    element,
    destroy() {
      gone = true;
      clearTimeout(timer);
      explorer?.destroy();
    },
  };
}

// The page of two searches.
export function comparePage(ids, report) {
  const places = ids.map((_, at) => el("section", { "aria-label": `${NAMES[at]} search` }));
  const figures = el("div", { class: "figures" });
  const both = button("▶ Replay both", () => explorers.forEach((each) => (each.stop(), each.seek(0), each.play())));
  const element = el(
    "div",
    {},
    el("p", { class: "crumbs" }, el("a", { href: "#/searches" }, "← Searches")),
    el("div", { class: "title" }, el("h1", {}, "Two searches"), both),
    figures,
    el("div", { class: "pair" }, places),
  );
  let explorers = [];
  let gone = false;
  const load = async () => {
    try {
      const traces = await Promise.all(ids.map(traceOf));
      if (gone) return;
      figures.replaceChildren(figureTable(traces));
      explorers = traces.map((trace, at) => mountExplorer(places[at], trace, { name: `${NAMES[at]} search` }));
    } catch (error) {
      if (!gone) report(error);
    }
  };
  load();
  return {
    element,
    destroy() {
      gone = true;
      explorers.forEach((each) => each.destroy());
    },
  };
}

function traceOf(id) {
  return get(`v1/searches/${encodeURIComponent(id)}`);
}

// What differs, in figures.
function figureTable(traces) {
  const rows = [
    ["Answer", (t) => t.answer ?? "–"],
    ["Value", (t) => number(t.value)],
    ["Strategy", (t) => [t.strategy, t.reward && `by ${t.reward}`].filter(Boolean).join(" ")],
    ["Ended by", (t) => t.stop_reason ?? t.state],
    ["Simulations or samples", (t) => count(t.simulations)],
    ["Nodes, depth", (t) => `${count(t.nodes)}, ${t.depth}`],
    ["Generated tokens", (t) => count(t.tokens.generated)],
    ["Took", (t) => seconds(t.seconds)],
    ["Engine, reward calls", (t) => `${count(t.engine_calls)}, ${count(t.reward_calls)}`],
    ["Winner's share of the vote", (t) => share(t.votes)],
  ];
  const cells = rows.map(([name, write]) => {
    const told = traces.map(write);
    const differ = told[0] !== told[1];
    return el("tr", { class: differ ? "differs" : null }, el("th", { scope: "row" }, name), told.map((each) => el("td", {}, each)));
  });
  return table("Side by side", [["Figure"], ...NAMES.map((name) => [name])], cells);
}

function share(votes) {
  const all = votes.reduce((sum, vote) => sum + vote.weight, 0);
  return all ? `${Math.round((100 * votes[0].weight) / all)} %` : "–";
}
