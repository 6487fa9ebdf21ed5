// A trace that grows from the events of a stream (`search.progress: "events"`), in the shape of GET /v1/searches/{id}.

// An empty trace of a search that has just been asked for. Nobody knows its id before it has ended.
export function emptyTrace(question) {
  return {
    ...{ id: "–", request_id: "–", created: Date.now() / 1000, model: "", question, answer: null, texts: true },
    ...{ strategy: "", reward: null, vote: null, state: "running", stop_reason: null, error: null, truncated: false },
    ...{ waited_seconds: 0, seconds: 0, simulations: 0, nodes: 0, depth: 0, engine_calls: 0, reward_calls: 0, value: null },
    budget: { simulations: null, tokens: null, seconds: null },
    tokens: { prompt: 0, generated: 0, answer: 0, cached: 0 },
    ...{ options: null, sampling: null, messages: null, prompt: null },
    ...{ tree: [], events: [], candidates: [], votes: [] },
  };
}

// Takes one event in.
export function addEvent(trace, event) {
  trace.events.push(event);
  trace.seconds = event.seconds;
  take[event.type]?.(trace, event);
}

const take = {
  search_started(trace, event) {
    trace.strategy = event.strategy;
    trace.budget.simulations = event.simulations;
  },
  node_added(trace, event) {
    const { node, parent, depth, seconds, text, tokens, prior, terminal } = event;
    const unknown = { token_texts: null, confidences: null, rewards: [], winning: false };
    trace.tree.push({ node, parent, depth, seconds, text, tokens, prior, terminal, ...unknown });
    trace.nodes += 1;
    trace.depth = Math.max(trace.depth, depth);
  },
  path_scored(trace, event) {
    nodeOf(trace, event.node)?.rewards.push(event.reward);
  },
  answer_found(trace, { node, text, answer, reward }) {
    const unknown = { step_rewards: [], visits: null, finished: null, vote: null, winner: null };
    const candidate = trace.candidates.length;
    trace.candidates.push({ candidate, node, text, answer, reward, ...unknown, token_texts: null, confidences: null });
  },
  simulation_done(trace, event) {
    trace.simulations = event.done;
  },
  engine_called(trace, event) {
    trace.engine_calls += 1;
    trace.tokens.generated += event.generated_tokens;
    trace.tokens.cached += event.cached_tokens;
  },
  reward_called(trace) {
    trace.reward_calls += 1;
  },
  search_finished(trace, event) {
    trace.stop_reason = event.stop_reason;
    trace.answer = event.answer;
    for (let node = nodeOf(trace, event.node); node; node = nodeOf(trace, node.parent)) node.winning = true;
  },
};

// Nodes are numbered in the order in which they join, so the place is nearly always the number.
function nodeOf(trace, number) {
  if (number === null || number === undefined) return undefined;
  return trace.tree[number]?.node === number ? trace.tree[number] : trace.tree.find((node) => node.node === number);
}
