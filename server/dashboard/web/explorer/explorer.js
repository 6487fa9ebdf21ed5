// The explorer of one search: its head, its tree as picture and outline, a slider that replays its growth, one node in
// detail, candidates and votes. The dashboard uses it, and so does the page that `espalier trace export` writes.

import { button, el, short } from "./dom.js";
import { candidateDetail, nodeDetail } from "./details.js";
import { rangeOf } from "./colours.js";
import { growthOf, valueAt } from "./growth.js";
import { headOf } from "./head.js";
import { layoutOf } from "./layout.js";
import { legendOf } from "./legend.js";
import { outlineOf } from "./outline.js";
import { pictureOf } from "./picture.js";
import { replayOf } from "./replay.js";
import { resultsOf } from "./results.js";

const LABEL = 32; // characters of a step beside its node

// Draws a trace, as GET /v1/searches/{id} gives it, into an element.
//   level: of the first heading; name: tells it from another explorer in the page
// Gives {grew(), seek(count), play(), stop(), destroy()}; `grew` is called after the trace itself has grown.
export function mountExplorer(element, trace, { level = 2, name = "" } = {}) {
  const growth = growthOf(trace);
  const named = (part) => (name ? `${name}: ${part}` : part);
  const detail = el("section", { class: "detail", "aria-label": named("Details"), tabindex: "-1", hidden: true });
  const picture = pictureOf((place) => choose(place, true));
  const outline = outlineOf((place) => choose(place, false));
  const legend = legendOf();
  const replay = replayOf(growth, (state) => show(state));
  const results = el("div");
  const head = el("div");
  let listed = null; // candidates and votes
  let chosen = null; // {place}, or {candidate}
  let drawn = 0; // nodes that have a place in the layout

  const choose = (place, fromPicture) => {
    chosen = { place };
    picture.select(place);
    if (fromPicture) outline.select(place);
    else picture.reveal(place);
    describe();
  };
  const open = (one) => {
    const place = one.node === null ? null : growth.placeOf(one.node);
    if (place !== null) choose(place, true);
    chosen = { candidate: one };
    describe();
    detail.scrollIntoView({ block: "nearest" });
    detail.focus({ preventScroll: true });
  };
  const describe = () => {
    detail.hidden = !chosen;
    if (chosen?.candidate) detail.replaceChildren(...candidateDetail(chosen.candidate, level + 1));
    else if (chosen) detail.replaceChildren(...nodeDetail(trace, growth, growth.at(replay.at()), chosen.place, level + 1));
  };
  const show = (state) => {
    if (drawn) {
      picture.show(state);
      outline.show(state);
    }
    listed?.show(state);
    if (chosen && !chosen.candidate) describe();
  };
  const arrange = () => {
    drawn = trace.tree.length;
    if (!drawn) return;
    const scene = sceneOf(trace, growth);
    scene.state = growth.end();
    legend.show(scene.range);
    picture.setTree(scene);
    outline.setTree({ ...scene });
    if (!chosen) choose(scene.winning.at(-1) ?? 0, true);
  };
  const tell = () => {
    head.replaceChildren(headOf(trace, level));
    listed = resultsOf(trace, open, named);
    results.replaceChildren(listed.element);
    if (!chosen && !trace.tree.length && trace.candidates.length) {
      chosen = { candidate: trace.candidates.find((one) => one.winner === 0) ?? trace.candidates[0] };
      describe();
    }
  };

  const tools = el(
    "div",
    { class: "tools" },
    legend.element,
    el(
      "span",
      { class: "zoom", role: "group", "aria-label": "Zoom" },
      button("−", () => picture.zoom(0.7), { "aria-label": "Smaller" }),
      button("+", () => picture.zoom(1.4), { "aria-label": "Larger" }),
      button("Fit", () => picture.fit(), { "aria-label": "Fit the whole tree" }),
    ),
  );
  const treeless = el("p", { class: "quiet" }, "This strategy grows no tree.");
  const tree = el("section", { class: "tree", "aria-label": named("Tree") }, tools, picture.element, outline.element);
  const panes = el("div", { class: "panes" }, tree, detail);
  element.classList.add("explorer");
  element.replaceChildren(head, replay.element, treeless, panes, results);

  const grew = () => {
    treeless.hidden = trace.tree.length > 0 || trace.state === "running";
    tree.hidden = !trace.tree.length;
    tell();
    arrange();
    replay.seek(growth.length);
  };
  const began = performance.now();
  grew();
  performance.measure("espalier-explorer", { start: began }); // for the browser's own tools, and for tests
  return {
    grew,
    seek: replay.seek,
    play: replay.play,
    stop: replay.stop,
    destroy: () => {
      replay.stop();
      for (const part of [picture, outline, legend]) part.destroy();
      element.replaceChildren();
    },
  };
}

// What pictures and outlines draw: the tree, where its nodes stand, and what they are called.
function sceneOf(trace, growth) {
  const end = growth.end();
  const { visits } = end;
  const order = trace.tree.map((_, place) => place).sort((a, b) => (visits[b] ?? 0) - (visits[a] ?? 0) || a - b);
  const labels = [];
  const label = ({ parent, text, tokens }) => (parent === null ? "prompt" : short(text ?? `${tokens} tokens`, LABEL));
  return {
    tree: trace.tree,
    layout: layoutOf(trace.tree, growth.parentOf),
    order,
    range: rangeOf(order.map((place) => valueAt(end, place)).filter((value) => value !== null)),
    winning: order.filter((place) => trace.tree[place].winning).sort((a, b) => a - b),
    parentOf: growth.parentOf,
    labelOf: (place) => (labels[place] ??= label(trace.tree[place])),
  };
}
