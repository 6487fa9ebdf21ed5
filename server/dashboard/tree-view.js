// The tree of a trace as a picture that can be walked with the keyboard: value as colour, visits as weight.
//
// Needs d3-hierarchy (globalThis.d3). All text reaches the page as text, never as markup.
"use strict";
(() => {
  const home = (globalThis.EspalierTrace ??= {});
  const SVG = "http://www.w3.org/2000/svg";
  const ROW = 26; // pixels between leaves
  const COLUMN = 190; // pixels between a node and its children
  const MARGIN = 24;
  const LABEL = 22; // characters of a step beside its node

  const svg = (name, attributes = {}, ...children) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  home.short = (text, most) => {
    const flat = Array.from(
      (text ?? "")
        .slice(0, 8 * most)
        .replace(/\s+/g, " ")
        .trim(),
    );
    return flat.length <= most ? flat.join("") : `${flat.slice(0, most - 1).join("")}…`;
  };

  home.number = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

  // Draws nodes.
  //   nodes: of a trace, each after its parent
  //   onSelect: told the number of a node that was chosen
  // Gives {element, select(number), show(state), scale(factor), place(number)}; `state` is one of `growth`, a place is in
  // pixels before scaling.
  home.treeView = (nodes, onSelect) => {
    const root = globalThis.d3
      .stratify()
      .id((node) => String(node.node))
      .parentId((node) => (node.parent === null ? undefined : String(node.parent)))(nodes);
    globalThis.d3.tree().nodeSize([ROW, COLUMN])(root);

    const places = root.descendants();
    const top = Math.min(...places.map((each) => each.x)) - MARGIN;
    const width = root.height * COLUMN + COLUMN + 2 * MARGIN;
    const height = Math.max(...places.map((each) => each.x)) - top + MARGIN;
    const most = Math.max(1, nodes[0].visits);
    const element = svg("svg", { role: "tree", "aria-label": "Search tree", viewBox: `0 0 ${width} ${height}` });
    const scale = (factor) => {
      element.style.width = `${width * factor}px`;
      element.style.height = `${height * factor}px`;
    };
    const x = (place) => place.y + MARGIN; // depth goes to the right
    const y = (place) => place.x - top;

    const links = new Map();
    for (const { source, target } of root.links()) {
      const middle = (x(source) + x(target)) / 2;
      const d = `M${x(source)},${y(source)}C${middle},${y(source)} ${middle},${y(target)} ${x(target)},${y(target)}`;
      const link = svg("path", { class: target.data.winning ? "link winning" : "link", d, "aria-hidden": "true" });
      links.set(target.data.node, link);
      element.append(link);
    }
    const drawn = new Map();
    for (const place of places) {
      const node = place.data;
      const circle = svg("circle", { r: "4" });
      const label = node.parent === null ? "prompt" : home.short(node.text ?? `${node.tokens} tokens`, LABEL);
      const inner = place.children ? { x: "-4", y: "-13" } : { x: "14", y: "4" }; // above the lines to its children
      const text = svg("text", inner, label);
      const classes = ["node", node.winning && "winning", node.terminal && "terminal"].filter(Boolean).join(" ");
      const group = svg(
        "g",
        {
          class: classes,
          role: "treeitem",
          tabindex: "-1",
          "aria-level": String(place.depth + 1),
          "aria-selected": "false",
          transform: `translate(${x(place)},${y(place)})`,
        },
        circle,
        text,
      );
      group.addEventListener("click", () => choose(node.node, true));
      drawn.set(node.node, { place, group, circle, label });
      element.append(group);
    }

    let chosen = null;
    const choose = (number, focus) => {
      const next = drawn.get(number);
      if (!next) return;
      const last = drawn.get(chosen ?? nodes[0].node); // the root is the tree's one tab stop before any is chosen
      last.group.setAttribute("aria-selected", "false");
      last.group.setAttribute("tabindex", "-1");
      next.group.setAttribute("aria-selected", "true");
      next.group.setAttribute("tabindex", "0");
      if (focus) next.group.focus();
      if (number !== chosen || focus) onSelect(number);
      chosen = number;
    };
    const alive = (place) => place && !drawn.get(place.data.node).group.classList.contains("unborn");
    const levels = new Map();
    for (const place of places) levels.set(place.depth, [...(levels.get(place.depth) ?? []), place]);
    for (const level of levels.values()) level.sort((a, b) => a.x - b.x);
    const beside = (place, step) => {
      const level = levels.get(place.depth);
      let at = level.indexOf(place) + step;
      while (level[at] && !alive(level[at])) at += step;
      return level[at];
    };
    const moves = {
      ArrowLeft: (place) => place.parent,
      ArrowRight: (place) => (place.children ?? []).filter(alive).sort((a, b) => b.data.visits - a.data.visits)[0],
      ArrowUp: (place) => beside(place, -1),
      ArrowDown: (place) => beside(place, 1),
      Home: () => root,
      End: () => places.filter((each) => each.data.winning && alive(each)).at(-1),
    };
    element.addEventListener("keydown", (event) => {
      const move = moves[event.key];
      const here = drawn.get(chosen);
      if (!move || !here || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const to = move(here.place);
      if (alive(to)) choose(to.data.node, true);
    });

    const show = (state) => {
      for (const [number, { group, circle, label, place }] of drawn) {
        const now = state.nodes.get(number);
        group.classList.toggle("unborn", !now);
        links.get(number)?.classList.toggle("unborn", !now);
        const visits = now?.visits ?? 0;
        const value = visits ? now.valueSum / visits : null;
        const weight = Math.sqrt(visits / most);
        circle.setAttribute("r", (3 + 8 * weight).toFixed(2));
        circle.classList.toggle("unvisited", value === null);
        circle.style.setProperty("--value", `${((value ?? 0) * 100).toFixed(1)}%`);
        links.get(number)?.style.setProperty("stroke-width", `${(0.75 + 5 * weight).toFixed(2)}px`);
        const role = place.data.winning ? ", on the winning path" : "";
        group.setAttribute("aria-label", `${label}: value ${home.number(value)}, ${visits} visits${role}`);
      }
    };
    scale(1);
    drawn.get(nodes[0].node).group.setAttribute("tabindex", "0");
    const place = (number) => ({ x: x(drawn.get(number).place), y: y(drawn.get(number).place) });
    return { element, select: (number) => choose(number, false), show, scale, place };
  };
})();
