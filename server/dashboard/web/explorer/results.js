// The candidates of a search and how they voted.

import { button, el, number, short, table } from "./dom.js";

const FEW = 12; // candidates that are listed at first
const MOST = 500; // that are listed at all

const HEADS = [["Candidate"], ["Answer"], ["Reward", "num"], ["Visits", "num"], ["Text"]];
const VOTE_HEADS = [["Answer"], ["Share"], ["Weight", "num"], ["Candidates", "num"]];

// Gives {element, show(state)}: candidates that have not been found yet are hidden.
//   onOpen: told a candidate that was chosen; named: makes names that are unique in the page
export function resultsOf(trace, onOpen, named) {
  const ranked = [...trace.candidates].sort(before).slice(0, MOST);
  const rows = ranked.map((one) => candidateRow(one, onOpen));
  let folded = rows.length > FEW;
  let found = Infinity; // candidates at the moment that is shown
  const show = () => ranked.forEach((one, at) => (rows[at].hidden = one.candidate >= found || (folded && at >= FEW)));
  const unfold = button(`Show ${rows.length === trace.candidates.length ? "all" : "the first"} ${rows.length}`, () => {
    folded = false;
    unfold.hidden = true;
    show();
  });
  unfold.hidden = !folded;
  const element = el(
    "div",
    { class: "results" },
    trace.votes.length > 0 && table("Votes", VOTE_HEADS, voteRows(trace), named("Votes")),
    rows.length > 0 && el("div", {}, table(`Candidates (${trace.candidates.length})`, HEADS, rows, named("Candidates")), unfold),
  );
  show();
  return {
    element,
    show(state) {
      found = state.candidates;
      show();
    },
  };
}

// Winners first, then by reward.
function before(a, b) {
  return (a.winner ?? Infinity) - (b.winner ?? Infinity) || (b.reward ?? 0) - (a.reward ?? 0) || a.candidate - b.candidate || 0;
}

function candidateRow(one, onOpen) {
  const name = `${one.candidate}${one.winner === 0 ? " ★ winner" : ""}`;
  return el(
    "tr",
    { class: one.winner === null ? null : "winning" },
    el("td", {}, button(name, () => onOpen(one), { class: "plain", "aria-label": `Candidate ${name}` })),
    el("td", {}, one.answer === null ? "–" : short(one.answer, 60)),
    el("td", { class: "num" }, number(one.reward)),
    el("td", { class: "num" }, String(one.visits ?? "–")),
    el("td", { class: "long" }, short(one.text, 90)),
  );
}

function voteRows(trace) {
  const heaviest = Math.max(1e-9, ...trace.votes.map((vote) => vote.weight));
  return trace.votes.map((vote, place) => {
    const answer = vote.answer === null ? (trace.texts ? "(no answer)" : `answer ${place + 1}`) : short(vote.answer, 60);
    const bar = el("meter", { min: "0", max: String(heaviest), value: String(vote.weight), "aria-label": `Weight of ${answer}` });
    return el(
      "tr",
      { class: place ? null : "winning" },
      el("td", {}, answer),
      el("td", {}, bar),
      el("td", { class: "num" }, number(vote.weight, 3)),
      el("td", { class: "num" }, String(vote.count)),
    );
  });
}
