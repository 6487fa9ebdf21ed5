// One node, or one candidate, in detail: its text with each token shaded by the model's confidence, and its figures.

import { count, el, facts, folded, number, seconds, short } from "./dom.js";
import { valueAt } from "./growth.js";

const MOST_REWARDS = 12; // that are written out

// A node at a moment of its search.
export function nodeDetail(trace, growth, state, place, level) {
  const node = trace.tree[place];
  const root = node.parent === null;
  const rewards = node.rewards.slice(0, MOST_REWARDS).map((reward) => reward.toFixed(3));
  const path = pathTo(trace, growth, place).map((at) => trace.tree[at].text);
  return [
    el(`h${level}`, {}, root ? "The prompt" : `Node ${node.node}`),
    root ? null : heat(node.text, node.token_texts, node.confidences),
    facts([
      ["Value", number(valueAt(state, place))],
      ["Visits", count(state.visits[place] ?? 0)],
      ["Rewards from here", rewards.join(", ") + (node.rewards.length > MOST_REWARDS ? ", …" : "")],
      ["Confidence", doubts(node.token_texts, node.confidences)],
      ["Tokens", root ? null : node.tokens],
      ["Depth", node.depth],
      ["Prior", node.prior === null ? null : node.prior.toPrecision(3)],
      ["Joined", root ? null : `after ${seconds(node.seconds)}`],
      ["Marks", [node.winning && "★ on the winning path", node.terminal && "ends here"].filter(Boolean).join(", ")],
    ]),
    path.length > 1 && path[0] !== null ? folded("The whole path to here", el("p", { class: "text" }, path)) : null,
  ].filter(Boolean);
}

export function candidateDetail(one, level) {
  return [
    el(`h${level}`, {}, `Candidate ${one.candidate}`),
    heat(one.text, one.token_texts, one.confidences),
    facts([
      ["Answer", one.answer ?? "–"],
      ["Reward", number(one.reward, 3)],
      ["Rewards of its steps", one.step_rewards.map((reward) => reward.toFixed(3)).join(", ")],
      ["Confidence", doubts(one.token_texts, one.confidences)],
      ["Visits", one.visits],
      ["Finished", one.finished === null ? null : one.finished ? "yes" : "no, cut by a limit"],
      ["Place", one.winner === null ? null : `★ winner ${one.winner + 1}`],
    ]),
  ];
}

// The places of the nodes from the root's child to a node.
function pathTo(trace, growth, place) {
  const path = [];
  for (let at = place; at >= 0 && growth.parentOf(at) >= 0; at = growth.parentOf(at)) path.unshift(at);
  return path;
}

// A text with each token shaded by the model's doubt; plain where that is not known.
function heat(text, pieces, confidences) {
  if (text === null) return el("p", { class: "quiet" }, "Texts are not kept in this trace.");
  if (!pieces || !confidences) return el("p", { class: "text" }, text);
  const tokens = pieces.map((piece, at) => {
    const sure = confidences[at];
    if (sure === null || sure === undefined || !piece) return document.createTextNode(piece);
    const token = el("span", { class: "token", title: `confidence ${sure.toFixed(3)}` }, piece);
    token.style.setProperty("--share", `${((1 - sure) * 100).toFixed(1)}%`);
    return token;
  });
  const legend = el("p", { class: "legend" }, "shaded: tokens that the model was ", el("span", { class: "token unsure" }, "less sure of"));
  return el("div", {}, el("p", { class: "text" }, tokens), legend);
}

// The same in words, for who does not see shades.
function doubts(pieces, confidences) {
  const known = (confidences ?? []).map((sure, at) => [sure, at]).filter(([sure]) => sure !== null && sure !== undefined);
  if (!known.length) return null;
  const mean = known.reduce((sum, [sure]) => sum + sure, 0) / known.length;
  const [least, at] = known.reduce((low, each) => (each[0] < low[0] ? each : low));
  const which = pieces?.[at]?.trim() ? ` at “${short(pieces[at], 20)}”` : "";
  return `mean ${mean.toFixed(2)}, lowest ${least.toFixed(2)}${which}`;
}
