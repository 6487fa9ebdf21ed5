// The picture of a tree: a canvas that can be dragged, zoomed and clicked. Screen readers and keyboards use the outline beside it.

import { cameraOf } from "./camera.js";
import { isDark, onTheme } from "./colours.js";
import { el, number } from "./dom.js";
import { valueAt } from "./growth.js";
import { paint, radiusOf } from "./painting.js";

const LEAST = 220; // pixels of height
const COMFORTABLE = 26; // pixels from row to row
const NEAR = 14; // pixels within which a click finds a node
const STILL = 4; // pixels that a finger may move and still click

// Gives {element, setTree(scene), show(state), select(place), reveal(place), zoom(factor), fit(), destroy()}.
//   onSelect: told the place of a node that was clicked
//   A scene is what `paint` reads, less what changes while one looks: {tree, layout, order, winning, parentOf, labelOf}.
export function pictureOf(onSelect) {
  const canvas = el("canvas", { role: "img", "aria-label": "Tree" });
  const hint = el("div", { class: "hint", "aria-hidden": "true", hidden: true });
  const element = el("div", { class: "picture" }, canvas, hint);
  const context = canvas.getContext("2d");
  const camera = cameraOf();
  let scene = null;
  let theme = null;
  let wanted = 0;
  let tall = 0; // pixels that the tree would like; never less than before, so that a growing tree does not jump

  const later = () => {
    wanted ||= requestAnimationFrame(draw);
  };
  const draw = () => {
    wanted = 0;
    if (!scene || !camera.size.width) return;
    theme ??= themeOf(element);
    const ratio = globalThis.devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const began = performance.now();
    element.dataset.drawn = String(paint(context, camera, scene, theme));
    element.dataset.milliseconds = (performance.now() - began).toFixed(1);
  };
  const resized = () => {
    const ratio = globalThis.devicePixelRatio || 1;
    camera.size.width = element.clientWidth;
    camera.size.height = element.clientHeight;
    canvas.width = Math.round(camera.size.width * ratio);
    canvas.height = Math.round(camera.size.height * ratio);
    if (scene && camera.isFitted()) camera.fit(scene.layout);
    draw();
  };
  const watching = new ResizeObserver(resized);
  watching.observe(element);
  const forget = onTheme(() => {
    theme = null;
    later();
  });

  // The node nearest to a point, if one is near.
  const nodeAt = ({ x, y }) => {
    let nearest = null;
    let least = Infinity;
    for (let place = 0; scene && place < scene.state.born; place += 1) {
      const away = Math.hypot(camera.x(scene.layout.across[place]) - x, camera.y(scene.layout.down[place]) - y);
      const edge = away - radiusOf(scene.state.visits[place], scene.state.visits[0], camera.at.row);
      if (edge < least) [nearest, least] = [place, edge];
    }
    return least <= NEAR ? nearest : null;
  };
  const hover = (place, point) => {
    if (!scene || scene.hovered === place) return;
    scene.hovered = place;
    hint.hidden = place === null;
    canvas.classList.toggle("over", place !== null);
    if (place !== null) {
      const told = `value ${number(valueAt(scene.state, place))} · ${scene.state.visits[place]} visits`;
      hint.replaceChildren(el("strong", {}, scene.labelOf(place)), ` ${told}`);
      hint.style.left = `${Math.min(point.x + 12, Math.max(0, camera.size.width - 240))}px`;
      hint.style.top = `${point.y + 16}px`;
    }
    later();
  };
  listen(canvas, camera, { later, nodeAt, hover, onSelect });

  return {
    element,
    setTree(next) {
      const { selected = null } = scene ?? {};
      scene = { ...next, selected, hovered: null };
      tall = Math.max(tall, LEAST, scene.layout.rows * COMFORTABLE + LEAST / 2);
      element.style.height = `min(${Math.round(tall)}px, 56vh)`;
      if (camera.isFitted()) camera.fit(scene.layout);
      canvas.setAttribute("aria-label", `Picture of a tree of ${scene.tree.length} nodes, which the outline lists`);
      later();
    },
    show(state) {
      scene.state = state;
      later();
    },
    select(place) {
      scene.selected = place;
      later();
    },
    reveal(place) {
      if (!camera.isFitted()) camera.reveal(scene.layout.across[place], scene.layout.down[place]);
      later();
    },
    zoom(factor) {
      const { selected, layout } = scene;
      const point = selected === null ? undefined : { x: camera.x(layout.across[selected]), y: camera.y(layout.down[selected]) };
      camera.zoom(factor, point && camera.sees(point.x, point.y, 0) ? point : undefined);
      later();
    },
    fit() {
      camera.fit(scene.layout);
      later();
    },
    destroy() {
      watching.disconnect();
      forget();
      cancelAnimationFrame(wanted);
    },
  };
}

// Dragging, pinching, zooming with the wheel (with Ctrl or ⌘, since the page scrolls without), hovering and clicking.
function listen(canvas, camera, { later, nodeAt, hover, onSelect }) {
  const fingers = new Map();
  let moved = 0;
  const pointOf = (event) => ({ x: event.offsetX, y: event.offsetY });
  const spread = () => {
    const [one, other] = [...fingers.values()];
    return Math.hypot(one.x - other.x, one.y - other.y);
  };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, pointOf(event));
    canvas.setPointerCapture(event.pointerId);
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [last, now] = [fingers.get(event.pointerId), pointOf(event)];
    if (!last) {
      hover(nodeAt(now), now);
      return;
    }
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, now);
    moved += Math.hypot(now.x - last.x, now.y - last.y);
    if (fingers.size === 2) camera.zoom(spread() / Math.max(1, before), now);
    else if (moved > STILL) camera.move(now.x - last.x, now.y - last.y);
    later();
  });
  const lifted = (event) => {
    if (fingers.delete(event.pointerId) && event.type === "pointerup" && moved <= STILL) {
      const place = nodeAt(pointOf(event));
      if (place !== null) onSelect(place);
    }
  };
  canvas.addEventListener("pointerup", lifted);
  canvas.addEventListener("pointercancel", lifted);
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      camera.zoom(Math.exp(-event.deltaY / 300), pointOf(event));
      later();
    },
    { passive: false },
  );
}

function themeOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    dark: isDark(),
    ink: colour("ink"),
    quiet: colour("quiet"),
    ground: colour("panel"),
    line: colour("link"),
    winning: colour("winning"),
    font: style.fontFamily,
  };
}
