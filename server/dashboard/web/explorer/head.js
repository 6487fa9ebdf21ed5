// What a trace tells of its search as a whole: question, answer, budget and what it took.

import { count, el, facts, folded, number, seconds } from "./dom.js";

export function headOf(trace, level) {
  const limits = Object.entries(trace.budget).filter(([, most]) => most !== null);
  const by = [trace.strategy, trace.reward && `by ${trace.reward}`, trace.vote && `vote ${trace.vote}`];
  const { tokens, error } = trace;
  return el(
    "header",
    { class: "head" },
    el(`h${level}`, {}, trace.question ?? "A search"),
    error && el("p", { class: "error" }, error.message ? `${error.code}: ${error.message}` : error.code),
    trace.answer !== null && el("p", { class: "answer" }, el("strong", {}, "Answer "), trace.answer),
    trace.truncated && el("p", { class: "quiet" }, "The search outgrew its room: only its beginning was kept."),
    facts([
      ["Strategy", by.filter(Boolean).join(", ")],
      ["State", trace.stop_reason ? `${trace.state}, ended by ${trace.stop_reason}` : trace.state],
      ["Budget", limits.map(([name, most]) => `${most} ${name}`).join(", ") || "no limit of its own"],
      ["Done", `${trace.simulations} in ${seconds(trace.seconds)}`],
      ["Waited", trace.waited_seconds >= 0.001 ? seconds(trace.waited_seconds) : null],
      ["Tree", trace.nodes ? `${count(trace.nodes)} nodes, ${trace.depth} deep` : "none"],
      ["Tokens", `${count(tokens.generated)}, ${count(tokens.answer)} of them in the answer`],
      ["Calls", `${trace.engine_calls} engine, ${trace.reward_calls} reward`],
      ["Value", number(trace.value)],
    ]),
    folded("More about it", moreOf(trace)),
  );
}

function moreOf(trace) {
  const began = new Date(trace.created * 1000);
  return el(
    "div",
    {},
    facts([
      ["Search", trace.id],
      ["Request", trace.request_id],
      ["Began", Number.isNaN(began.getTime()) ? trace.created : began.toISOString()],
      ["Model", trace.model],
      ["Prompt", `${trace.tokens.prompt} tokens`],
      ["From cache", `${count(trace.tokens.cached)} prefix tokens`],
    ]),
    promptOf(trace),
    trace.options && el("p", { class: "text mono" }, JSON.stringify({ ...trace.options, ...trace.sampling }, null, 1)),
  );
}

function promptOf(trace) {
  const turns = trace.messages ?? (trace.prompt === null ? [] : [{ role: "prompt", content: trace.prompt }]);
  return turns.flatMap((turn) => [el("p", { class: "quiet" }, turn.role), el("p", { class: "text" }, turn.content)]);
}
