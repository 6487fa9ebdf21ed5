// The tree as a list that unfolds: what keyboards and screen readers use, and what is readable when the picture is not.
//
// Only the rows in sight are in the page, however many nodes there are. The keys are those of trees in WAI-ARIA's practices.

import { isDark, onTheme, shadeOf, shades } from "./colours.js";
import { el, number } from "./dom.js";
import { valueAt } from "./growth.js";

const ROW_HEIGHT = 30; // pixels, as in explorer.css
const SPARE = 6; // rows beyond those in sight

let outlines = 0; // for ids that are unique in the page

const unseen = (text) => el("span", { class: "unseen" }, text);

// Gives {element, setTree(scene), show(state), select(place), destroy()}; a scene is as for pictures.
//   onSelect: told the place of a node that was chosen here
export function outlineOf(onSelect) {
  const name = `outline-${(outlines += 1)}`;
  const list = el("div", { class: "rows", role: "tree", tabindex: "0", "aria-label": "Nodes of the tree" });
  const element = el("div", { class: "outline" }, list);
  const open = new Set([0]);
  let colours = shades();
  let scene = null;
  let rows = []; // [place, depth, position among its siblings, count of its siblings], in the order of the page
  let selected = 0;
  let wanted = 0;

  const childrenOf = (place) => scene.layout.children[place].filter((child) => child < scene.state.born);
  const ranked = (places) =>
    places.sort((a, b) => Number(scene.tree[b].winning) - Number(scene.tree[a].winning) || scene.state.visits[b] - scene.state.visits[a] || a - b);
  const unfold = () => {
    rows = [];
    const waiting = scene.state.born ? [[0, 0, 1, 1]] : [];
    while (waiting.length) {
      const row = waiting.pop();
      rows.push(row);
      if (!open.has(row[0])) continue;
      const children = ranked(childrenOf(row[0]));
      for (let at = children.length - 1; at >= 0; at -= 1) waiting.push([children[at], row[1] + 1, at + 1, children.length]);
    }
    list.style.height = `${rows.length * ROW_HEIGHT}px`;
  };
  const draw = () => {
    cancelAnimationFrame(wanted);
    wanted = 0;
    if (!scene) return;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE);
    const last = Math.min(rows.length, Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + SPARE);
    const shown = rows.slice(first, last).map((row, at) => rowOf(row, first + at));
    const active = rows.findIndex(([place]) => place === selected);
    if (active >= 0 && (active < first || active >= last)) shown.push(rowOf(rows[active], active));
    list.replaceChildren(...shown);
    if (active >= 0) list.setAttribute("aria-activedescendant", `${name}-${selected}`);
    else list.removeAttribute("aria-activedescendant");
  };
  const later = () => {
    wanted ||= requestAnimationFrame(draw);
  };
  const rowOf = ([place, depth, position, siblings], at) => {
    const node = scene.tree[place];
    const value = valueAt(scene.state, place);
    const visits = scene.state.visits[place];
    const inner = childrenOf(place).length > 0;
    const marks = [node.winning && "on the winning path", node.terminal && "ends here"].filter(Boolean);
    const chip = el("span", { class: value === null ? "chip unvisited" : "chip" });
    if (value !== null) chip.style.backgroundColor = colours[shadeOf(value, scene.range)];
    const row = el(
      "div",
      {
        class: node.winning ? "row winning" : "row",
        id: `${name}-${place}`,
        role: "treeitem",
        "aria-level": depth + 1,
        "aria-posinset": position,
        "aria-setsize": siblings,
        "aria-selected": String(place === selected),
        "aria-expanded": inner ? String(open.has(place)) : null,
        onclick: (event) => choose(place, event.target.classList.contains("twist")),
      },
      el("span", { class: "twist", "aria-hidden": "true" }, inner ? (open.has(place) ? "▾" : "▸") : ""),
      chip,
      el("span", { class: "label" }, `${node.winning ? "★ " : ""}${scene.labelOf(place)}`),
      el("span", { class: "count" }, unseen(", value "), number(value), " · ", visits, unseen([" visits", ...marks].join(", "))),
    );
    row.style.top = `${at * ROW_HEIGHT}px`;
    row.style.setProperty("--depth", String(Math.min(depth, 12)));
    return row;
  };
  const choose = (place, twist = false) => {
    if (twist) toggle(place);
    selected = place;
    onSelect(place);
    bring();
  };
  const toggle = (place, wide = !open.has(place)) => {
    if (wide) open.add(place);
    else open.delete(place);
    unfold();
  };
  const bring = () => {
    const top = rows.findIndex(([place]) => place === selected) * ROW_HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = top + ROW_HEIGHT - element.clientHeight;
    draw(); // at once: what is told to screen readers must not lag behind the key
  };
  const page = () => Math.max(1, Math.floor(element.clientHeight / ROW_HEIGHT) - 1);
  const moves = {
    ArrowDown: (at) => at + 1,
    ArrowUp: (at) => at - 1,
    PageDown: (at) => Math.min(rows.length - 1, at + page()),
    PageUp: (at) => Math.max(0, at - page()),
    Home: () => 0,
    End: () => rows.length - 1,
  };
  const sideways = (key, at) => {
    const [place] = rows[at];
    const inner = childrenOf(place).length > 0;
    if (key === "ArrowRight" && inner && !open.has(place)) toggle(place, true);
    else if (key === "ArrowRight" && inner) choose(rows[at + 1][0]);
    else if (key === "ArrowLeft" && inner && open.has(place)) toggle(place, false);
    else if (key === "ArrowLeft" && scene.parentOf(place) >= 0) choose(scene.parentOf(place));
    bring();
  };
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !rows.length) return;
    const at = Math.max(0, rows.findIndex(([place]) => place === selected));
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") sideways(event.key, at);
    else if (event.key === "Enter" || event.key === " ") choose(rows[at][0], true);
    else if (moves[event.key]) choose((rows[moves[event.key](at)] ?? rows[at])[0]);
    else return;
    event.preventDefault();
  });
  element.addEventListener("scroll", later, { passive: true });
  const forget = onTheme(() => {
    colours = shades(isDark());
    later();
  });

  return {
    element,
    setTree(next) {
      scene = next;
      for (const place of scene.winning) open.add(place);
      unfold();
      later();
    },
    show(state) {
      scene.state = state;
      unfold();
      later();
    },
    select(place) {
      selected = place;
      for (let at = scene.parentOf(place); at >= 0; at = scene.parentOf(at)) open.add(at);
      unfold();
      bring();
    },
    destroy() {
      forget();
      cancelAnimationFrame(wanted);
    },
  };
}
