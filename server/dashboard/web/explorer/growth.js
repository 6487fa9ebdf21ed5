// How a search grew: the state of its tree after each event of its trace. Knows no page.

const KEPT = 32; // states that are kept on the way, so that going back is quick

// The replay of a trace, whose tree and events may go on growing. `at(count)` gives the state after so many events:
//   count, seconds (of the last event), candidates found, simulations done
//   born, visits, sums: by the node's place in the tree; places from `born` on have not joined yet
// Nodes stand in the tree in the order in which they join. What is added up is never taken away again, so sums do not drift.
export function growthOf(trace) {
  const places = new Map();
  const parents = [];
  const kept = new Map();
  let state = nothing();

  const adopt = () => {
    while (parents.length < trace.tree.length) {
      const node = trace.tree[parents.length];
      places.set(node.node, parents.length);
      parents.push(node.parent === null ? -1 : (places.get(node.parent) ?? -1));
    }
  };
  const take = (event) => {
    state.count += 1;
    state.seconds = event.seconds;
    if (event.type === "node_added") {
      state.visits[state.born] = event.visits;
      state.sums[state.born] = event.value;
      state.born += 1;
    } else if (event.type === "backed_up") {
      for (let at = places.get(event.node) ?? -1; at >= 0; at = parents[at]) {
        state.visits[at] += event.visits;
        state.sums[at] += event.value;
      }
    } else if (event.type === "answer_found") {
      state.candidates += 1;
    } else if (event.type === "simulation_done") {
      state.simulations = event.done;
    }
  };
  const at = (wanted) => {
    adopt();
    if (wanted < state.count) {
      const near = [...kept.keys()].filter((count) => count <= wanted);
      state = near.length ? copied(kept.get(Math.max(...near))) : nothing();
    }
    const stride = Math.max(500, Math.ceil(trace.events.length / KEPT));
    while (state.count < wanted && state.count < trace.events.length) {
      take(trace.events[state.count]);
      if (state.count % stride === 0 && !kept.has(state.count)) kept.set(state.count, copied(state));
    }
    return state;
  };
  return {
    at,
    get length() {
      return trace.events.length;
    },
    end: () => at(trace.events.length),
    placeOf: (node) => (adopt(), places.get(node) ?? null),
    parentOf: (place) => (adopt(), parents[place]),
  };
}

export function valueAt(state, place) {
  return place < state.born && state.visits[place] ? state.sums[place] / state.visits[place] : null;
}

function nothing() {
  return { count: 0, seconds: 0, candidates: 0, simulations: 0, born: 0, visits: [], sums: [] };
}

function copied(state) {
  return { ...state, visits: state.visits.slice(), sums: state.sums.slice() };
}
