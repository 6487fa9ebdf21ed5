// Asks the server a question with a strategy and a budget of one's choice, and shows the tree as it grows.

import { get, stream } from "./api.js";
import { button, el } from "./explorer/dom.js";
import { mountExplorer } from "./explorer/explorer.js";
import { addEvent, emptyTrace } from "./explorer/live.js";
import { fieldsOf, settingsOf, showFields } from "./try-fields.js";

const SLOWEST = 0.25; // of the time at most goes into drawing what has grown

// The page. `choices`: {models, strategies}, as `choicesOf` of try-fields.js gives them.
export function tryIt(choices, report) {
  const place = el("div");
  const answer = el("p", { class: "answer-text", hidden: true });
  const told = el("p", { class: "quiet", role: "status" });
  const question = el("textarea", { id: "question", rows: "3", required: true, name: "question" });
  question.value = "A stadium has 8 rows with 19 seats in each row. 12 seats are taken. How many seats are still free?";
  const fields = fieldsOf(choices);
  const asking = el("button", { type: "submit", class: "primary" }, "Search");
  const stopping = button("Stop", () => running?.abort(), { disabled: true });
  let running = null;
  let explorer = null;

  const ask = async (event) => {
    event.preventDefault();
    running?.abort();
    const abort = new AbortController();
    running = abort;
    setBusy(true);
    report(null);
    try {
      await search(question.value, abort.signal);
    } catch (error) {
      if (running !== abort) return; // another one has begun, or the page is gone
      told.textContent = error.name === "AbortError" ? "Stopped: the server has given the search up." : "";
      if (error.name !== "AbortError") report(error);
    } finally {
      if (running === abort) {
        running = null;
        setBusy(false);
      }
    }
  };
  const search = async (asked, signal) => {
    const trace = emptyTrace(asked);
    explorer?.destroy();
    explorer = mountExplorer(place, trace);
    answer.hidden = true;
    answer.textContent = "";
    told.textContent = "Searching …";
    const mine = explorer;
    const redraw = redrawing(() => mine.grew());
    const body = { messages: [{ role: "user", content: asked }], stream: true, ...settingsOf(fields) };
    let ended = null;
    try {
      for await (const chunk of stream("v1/chat/completions", body, signal)) {
        if (chunk.search_event) addEvent(trace, chunk.search_event);
        if (chunk.search_event) redraw.later();
        const text = chunk.choices?.[0]?.delta?.content;
        if (text) answer.append(text);
        answer.hidden = !answer.textContent;
        ended = chunk.search ?? ended;
      }
    } catch (error) {
      trace.state = error.name === "AbortError" ? "cancelled" : "failed";
      throw error;
    } finally {
      redraw.stop();
      if (mine === explorer) mine.grew();
    }
    told.textContent = `Ended by ${ended.stop_reason} after ${ended.seconds.toFixed(2)} s. `;
    told.append(el("a", { href: `#/search/${encodeURIComponent(ended.id)}` }, "Its own page"));
    await showWhole(ended.id);
  };
  // The kept trace knows more than the stream: tokens, confidences, votes. A server that keeps none has none to give.
  const showWhole = async (id) => {
    const whole = await get(`v1/searches/${encodeURIComponent(id)}`).catch(() => null);
    if (!whole || !explorer) return;
    explorer.destroy();
    explorer = mountExplorer(place, whole);
  };
  const setBusy = (busy) => {
    stopping.disabled = !busy;
    asking.textContent = busy ? "Search anew" : "Search";
  };
  showFields(fields, choices);

  const element = el(
    "div",
    {},
    el("h1", {}, "Try it"),
    el(
      "form",
      { class: "card try", onsubmit: ask },
      el("label", { for: "question" }, "Question"),
      question,
      el("div", { class: "fields" }, Object.values(fields).map((field) => field.element)),
      el("div", { class: "actions" }, asking, stopping, told),
    ),
    answer,
    place,
  );
  return {
    element,
    destroy() {
      running?.abort();
      running = null;
      explorer?.destroy();
      explorer = null;
    },
  };
}

// Draws again soon, but never so often that drawing takes most of the time: large trees take long to lay out.
function redrawing(draw) {
  let timer = 0;
  let last = 0; // milliseconds that drawing took
  const now = () => {
    timer = 0;
    const began = performance.now();
    draw();
    last = performance.now() - began;
  };
  return {
    later: () => (timer ||= setTimeout(now, Math.max(60, last / SLOWEST))),
    stop: () => clearTimeout(timer),
  };
}
