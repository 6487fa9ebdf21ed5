// Paints a tree on a canvas: value as colour, visits as size and width, the winning path ringed. Reads, changes nothing.
//
// Thousands of nodes are painted in few strokes: those of a kind go into one path, and of those that would fall on the same
// pixel only the most visited one is painted.

import { shadeOf, shades } from "./colours.js";
import { short } from "./dom.js";
import { valueAt } from "./growth.js";

const WIDTHS = [0.75, 1.5, 2.5, 4, 6]; // pixels of a link, the more visits the wider
const CROWDED = 5; // pixels from row to row below which links are straight and what falls together is merged
const MOST_LABELS = { sparse: 160, crowded: 32 };
const FAINT = 0.45; // how much of a thin link shows where links are crowded
const LABEL_LINE = 15; // pixels
const LETTER = 6.5; // pixels, about
const SHORTEST = 9; // letters of a label that stands over its column

// How large a node is, in pixels.
export function radiusOf(visits, most, row) {
  const least = Math.min(4, Math.max(1.2, row * 0.4));
  return least + 8 * Math.sqrt(visits / Math.max(1, most));
}

// Paints everything.
//   scene: {tree, layout, order (places, the most visited first), parentOf, labelOf, state, selected, hovered}
//   theme: {dark, ink, quiet, ground, line, winning}
export function paint(context, camera, scene, theme) {
  context.clearRect(0, 0, camera.size.width, camera.size.height);
  const most = scene.state.visits[0] ?? 1;
  paintLinks(context, camera, scene, theme, most);
  const drawn = paintNodes(context, camera, scene, theme, most);
  paintMarks(context, camera, scene, theme, most);
  paintLabels(context, camera, scene, theme, most);
  return drawn;
}

function paintLinks(context, camera, scene, theme, most) {
  const kinds = new Map();
  const crowded = camera.at.row < CROWDED;
  const taken = new Set();
  for (const place of scene.order) {
    const parent = scene.parentOf(place);
    if (place >= scene.state.born || parent < 0) continue;
    const { x1, y1, x2, y2 } = ends(camera, scene.layout, parent, place);
    if (x2 < 0 || x1 > camera.size.width || Math.max(y1, y2) < 0 || Math.min(y1, y2) > camera.size.height) continue;
    const winning = scene.tree[place].winning;
    if (crowded && !winning && isTaken(taken, x1, y1, y2)) continue;
    const share = Math.sqrt(scene.state.visits[place] / Math.max(1, most));
    const width = Math.min(WIDTHS.length - 1, Math.floor(share * WIDTHS.length));
    const kind = winning ? WIDTHS.length + width : width;
    if (!kinds.has(kind)) kinds.set(kind, new Path2D());
    curve(kinds.get(kind), x1, y1, x2, y2, crowded);
  }
  for (const [kind, path] of [...kinds].sort(([a], [b]) => a - b)) {
    const winning = kind >= WIDTHS.length;
    context.strokeStyle = winning ? theme.winning : theme.line;
    context.lineWidth = WIDTHS[kind % WIDTHS.length] + (winning ? 1 : 0);
    context.globalAlpha = crowded && kind === 0 ? FAINT : 1;
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

function curve(path, x1, y1, x2, y2, straight) {
  path.moveTo(x1, y1);
  if (straight) path.lineTo(x2, y2);
  else path.bezierCurveTo((x1 + x2) / 2, y1, (x1 + x2) / 2, y2, x2, y2);
}

function ends(camera, layout, parent, place) {
  return {
    x1: camera.x(layout.across[parent]),
    y1: camera.y(layout.down[parent]),
    x2: camera.x(layout.across[place]),
    y2: camera.y(layout.down[place]),
  };
}

function isTaken(taken, ...numbers) {
  const key = numbers.map(Math.round).join();
  if (taken.has(key)) return true;
  taken.add(key);
  return false;
}

function paintNodes(context, camera, scene, theme, most) {
  const crowded = camera.at.row < CROWDED;
  const taken = new Set();
  const seen = [];
  for (const place of scene.order) {
    if (place >= scene.state.born) continue;
    const x = camera.x(scene.layout.across[place]);
    const y = camera.y(scene.layout.down[place]);
    if (!camera.sees(x, y) || (crowded && isTaken(taken, x, y))) continue;
    seen.push([place, x, y]);
  }
  const colours = shades(theme.dark);
  const kinds = new Map();
  for (const [place, x, y] of seen.reverse()) {
    const value = valueAt(scene.state, place);
    const colour = value === null ? theme.ground : colours[shadeOf(value, scene.range)];
    if (!kinds.has(colour)) kinds.set(colour, new Path2D());
    const radius = radiusOf(scene.state.visits[place], most, camera.at.row);
    kinds.get(colour).moveTo(x + radius, y);
    kinds.get(colour).arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.strokeStyle = theme.quiet;
  context.lineWidth = camera.at.row < 2 ? 0.3 : 0.8;
  for (const [colour, path] of kinds) {
    context.fillStyle = colour;
    context.fill(path);
    context.stroke(path);
  }
  return seen.length;
}

// Rings around the winning path and what is chosen; a bar through nodes where an answer ends.
function paintMarks(context, camera, scene, theme, most) {
  const ring = (place, colour, width, gap) => {
    if (place === null || place >= scene.state.born) return;
    const radius = radiusOf(scene.state.visits[place], most, camera.at.row) + gap;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(camera.x(scene.layout.across[place]), camera.y(scene.layout.down[place]), radius, 0, 2 * Math.PI);
    context.stroke();
  };
  for (const place of scene.winning) ring(place, theme.winning, 2.5, 1.5);
  ring(scene.hovered, theme.quiet, 1.5, 4);
  ring(scene.selected, theme.ground, 4, 4.5);
  ring(scene.selected, theme.ink, 2.5, 5);
}

// The texts of the most visited nodes, as many as there is room for.
function paintLabels(context, camera, scene, theme, most) {
  const lines = new Map();
  const winning = new Set(scene.winning);
  const room = camera.at.row < CROWDED ? MOST_LABELS.crowded : MOST_LABELS.sparse;
  let placed = 0;
  context.font = `12px ${theme.font}`;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const place of [scene.selected, ...scene.winning, ...scene.order]) {
    if (placed >= room) break;
    if (place === null || place >= scene.state.born) continue;
    const radius = radiusOf(scene.state.visits[place], most, camera.at.row);
    const inner = scene.layout.children[place].length > 0;
    const x = camera.x(scene.layout.across[place]) + (inner ? -radius : radius + 6);
    const y = camera.y(scene.layout.down[place]) - (inner ? radius + 9 : 0);
    if (!camera.sees(x, y, 0)) continue;
    const fitting = inner ? Math.max(SHORTEST, Math.floor(camera.at.column / LETTER)) : Infinity;
    const label = (winning.has(place) && !inner ? "★ " : "") + short(scene.labelOf(place), fitting);
    const width = context.measureText(label).width;
    if (!hasRoom(lines, x, y, width)) continue;
    placed += 1;
    context.strokeStyle = theme.ground;
    context.lineWidth = 4;
    context.strokeText(label, x, y);
    context.fillStyle = winning.has(place) ? theme.winning : theme.ink;
    context.fillText(label, x, y);
  }
}

// Whether a label has room beside those that have been placed; takes it if so.
function hasRoom(lines, x, y, width) {
  const line = Math.round(y / LABEL_LINE);
  for (const near of [line - 1, line, line + 1]) {
    for (const other of lines.get(near) ?? []) {
      if (Math.abs(other.y - y) < LABEL_LINE && x < other.x + other.width + 6 && other.x < x + width + 6) return false;
    }
  }
  lines.set(line, [...(lines.get(line) ?? []), { x, y, width }]);
  return true;
}
