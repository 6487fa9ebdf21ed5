// How a search grew: the state of its tree after each event of its trace. Knows no page.
//
// A classic script, so that a single file without network can hold it; it adds to globalThis.EspalierTrace.
"use strict";
(() => {
  const home = (globalThis.EspalierTrace ??= {});

  // The replay of one trace. `at(count)` gives the state after so many events:
  //   nodes: Map of node number to {visits, valueSum}, only those that have joined
  //   candidates: how many have been found; simulations: how many are done; seconds: of the last event
  // Going on is incremental, going back begins anew: value sums then never drift.
  home.growth = (trace) => {
    const parents = new Map(trace.tree.map((node) => [node.node, node.parent]));
    let state;

    const restart = () => {
      state = { count: 0, nodes: new Map(), candidates: 0, simulations: 0, seconds: 0 };
    };
    const take = (event) => {
      state.count += 1;
      state.seconds = event.seconds;
      if (event.type === "node_added") {
        state.nodes.set(event.node, { visits: event.visits, valueSum: event.value });
      } else if (event.type === "backed_up") {
        for (let at = event.node; at !== null && at !== undefined; at = parents.get(at)) {
          const node = state.nodes.get(at);
          if (!node) break;
          node.visits += event.visits;
          node.valueSum += event.value;
        }
      } else if (event.type === "answer_found") {
        state.candidates += 1;
      } else if (event.type === "simulation_done") {
        state.simulations = event.done;
      }
    };
    restart();
    return {
      length: trace.events.length,
      at(count) {
        if (count < state.count) restart();
        while (state.count < count && state.count < trace.events.length) take(trace.events[state.count]);
        return state;
      },
    };
  };

  // The nodes to draw: the most visited ones, always with their ancestors and the winning path.
  home.shown = (trace, most) => {
    // Nobody has more visits than its parent, and parents have lower numbers: the first ones hold their ancestors.
    const ranked = [...trace.tree].sort((a, b) => b.visits - a.visits || a.node - b.node).slice(0, most);
    const numbers = new Set(ranked.map((node) => node.node));
    const parents = new Map(trace.tree.map((node) => [node.node, node.parent]));
    for (const node of trace.tree.filter((each) => each.winning || numbers.has(each.node))) {
      for (let at = node.node; at !== null && at !== undefined && parents.has(at); at = parents.get(at))
        numbers.add(at);
    }
    return trace.tree.filter((node) => numbers.has(node.node));
  };
})();
