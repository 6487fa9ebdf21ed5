// Where the nodes of a tree stand: depth to the right, leaves below each other. Knows no page and no pixels.
//
// Needs d3-hierarchy (globalThis.d3), a classic script.

// The places of all nodes, by their place in the tree:
//   across: depth; down: rows, where leaves of one parent lie one row apart
//   rows, columns: how far the tree reaches; children: places of each node's children
export function layoutOf(tree, parentOf) {
  const { d3 } = globalThis;
  const numbers = tree.map((_, place) => place);
  const root = d3
    .stratify()
    .id((place) => String(place))
    .parentId((place) => (place === 0 ? undefined : String(Math.max(0, parentOf(place)))))(numbers); // orphans go to the root
  d3.tree().nodeSize([1, 1]).separation((a, b) => (a.parent === b.parent ? 1 : 1.35))(root);
  const across = new Float64Array(tree.length);
  const down = new Float64Array(tree.length);
  const children = tree.map(() => []);
  let top = Infinity;
  let bottom = -Infinity;
  root.each((item) => {
    across[item.data] = item.y;
    down[item.data] = item.x;
    top = Math.min(top, item.x);
    bottom = Math.max(bottom, item.x);
    if (item.parent) children[item.parent.data].push(item.data);
  });
  for (let place = 0; place < down.length; place += 1) down[place] -= top;
  return { across, down, rows: bottom - top, columns: root.height, children };
}
