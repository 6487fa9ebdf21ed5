// The first page: how the server does right now. Numbers of the last minute, their course since the page was opened, and
// what has come together since the server started.

import { barChart, timeChart } from "./charts.js";
import { button, count, el, number, seconds, table } from "./explorer/dom.js";
import { buckets, byLabel, increase, quantile, rate, total } from "./measures.js";

const WINDOW = 60; // seconds over which percentiles and rates are taken
const LONGEST = 900; // points that charts keep
const LATENCY = "mcts_search_duration_seconds_bucket";

// The page. `feed` tells each reading of the numbers: {listen(told), pause(on), isPaused()}.
export function overview(feed) {
  const tiles = tilesOf();
  const latency = timeChart("Duration of searches", [line("median", "one"), line("p95", "two"), line("p99", "three")], seconds);
  const load = timeChart("Searches", [line("running", "one"), line("waiting", "two")], whole);
  const flow = timeChart("Searches that ended, per minute", [line("all", "one")], (value) => number(value, 1));
  const tokens = timeChart("Tokens per second", [line("generated", "one"), line("from cache", "two")], whole);
  const rewards = barChart("Rewards of finished paths", "one", whole);
  const charts = [latency, load, flow, tokens];
  const reasons = el("div", { class: "card" });
  const strategies = el("div", { class: "card" });
  const pausing = button("Pause", () => {
    feed.pause(!feed.isPaused());
    pausing.textContent = feed.isPaused() ? "Go on" : "Pause";
  });
  const element = el(
    "div",
    { class: "overview" },
    el("div", { class: "title" }, el("h1", {}, "Overview"), el("span", { class: "quiet" }, "numbers of the last minute"), pausing),
    tiles.element,
    el("div", { class: "charts" }, charts.map((chart) => chart.element)),
    el("h2", {}, "Since the server started"),
    el("div", { class: "charts" }, rewards.element, reasons, el("div", { class: "wide" }, strategies)),
  );

  const course = { times: [], columns: charts.map((_, at) => Array.from({ length: [3, 2, 1, 2][at] }, () => [])) };
  const update = (readings) => {
    const known = course.times.length ? readings.length - 1 : 0; // what was read before the page was opened counts too
    for (let last = known; last < readings.length; last += 1) add(readings.slice(0, last + 1));
    const now = readings.at(-1);
    showRewards(rewards, now);
    reasons.replaceChildren(reasonTable(now));
    strategies.replaceChildren(strategyTable(now));
  };
  const add = (readings) => {
    const now = readings.at(-1);
    const then = readings.findLast((reading) => reading.time <= now.time - WINDOW) ?? readings[0];
    const figures = figuresOf(now, then === now ? null : then);
    tiles.show(figures);
    const columns = [
      [figures.median, figures.p95, figures.p99],
      [figures.running, figures.waiting],
      [figures.perMinute],
      [figures.tokens, figures.cached],
    ];
    course.times.push(now.time);
    columns.forEach((values, at) => values.forEach((value, line) => course.columns[at][line].push(value)));
    if (course.times.length > LONGEST) [course.times, ...course.columns.flat()].forEach((column) => column.shift());
    const words = wordsOf(figures);
    charts.forEach((chart, at) => chart.show(course.times, course.columns[at], words[at]));
  };
  const deaf = feed.listen(update);
  return {
    element,
    destroy() {
      deaf();
      [...charts, rewards].forEach((chart) => chart.destroy());
    },
  };
}

// The figures of a moment. Rates and percentiles are null or 0 before there are two readings.
function figuresOf(now, then) {
  const lately = then ? buckets(now, then, LATENCY) : [];
  const speed = (name, wanted) => (then ? rate(now, then, name, wanted) : 0);
  const prefix = then ? increase(now, then, "mcts_prefix_tokens_total") : 0;
  const cached = then ? increase(now, then, "mcts_cached_tokens_total") : 0;
  return {
    median: quantile(0.5, lately),
    p95: quantile(0.95, lately),
    p99: quantile(0.99, lately),
    firstAnswer: then ? quantile(0.5, buckets(now, then, "mcts_time_to_first_answer_seconds_bucket")) : null,
    running: total(now, "mcts_searches_running"),
    waiting: total(now, "mcts_searches_waiting"),
    perMinute: 60 * speed("mcts_searches_total"),
    tokens: speed("mcts_generated_tokens_total"),
    cached: speed("mcts_cached_tokens_total"),
    hits: prefix ? cached / prefix : null,
    ended: total(now, "mcts_searches_total"),
    failed: total(now, "mcts_failures_total"),
    refused: total(now, "mcts_searches_turned_away_total"),
  };
}

function tilesOf() {
  const told = [
    ["Median duration", (f) => seconds(f.median)],
    ["p95 duration", (f) => seconds(f.p95)],
    ["First answer after", (f) => seconds(f.firstAnswer)],
    ["Running", (f) => count(f.running), "running"],
    ["Waiting", (f) => count(f.waiting), "waiting"],
    ["Ended per minute", (f) => number(f.perMinute, 1)],
    ["Tokens per second", (f) => count(f.tokens), "tokens"],
    ["Prefix cache hits", (f) => (f.hits === null ? `${count(f.cached)}/s` : `${Math.round(100 * f.hits)} %`)],
    ["Ended in all", (f) => count(f.ended), "ended"],
    ["Failed, turned away", (f) => `${count(f.failed)}, ${count(f.refused)}`],
  ];
  const values = told.map(([, , name]) => el("dd", { "data-figure": name }, "–"));
  const element = el("dl", { class: "tiles" }, told.map(([term], at) => el("div", { class: "card" }, el("dt", {}, term), values[at])));
  return { element, show: (figures) => told.forEach(([, write], at) => (values[at].textContent = write(figures))) };
}

// What each chart shows at this moment, in the order of the charts.
function wordsOf(f) {
  const ended = f.median === null ? "no search ended in the last minute" : `median ${seconds(f.median)}, p95 ${seconds(f.p95)}, p99 ${seconds(f.p99)}`;
  return [
    ended,
    `${count(f.running)} running, ${count(f.waiting)} waiting`,
    `${number(f.perMinute, 1)} per minute`,
    `${count(f.tokens)} generated, ${count(f.cached)} from cache`,
  ];
}

function showRewards(chart, now) {
  const counted = buckets(now, null, "mcts_reward_value_bucket").filter(({ upTo }) => upTo !== Infinity);
  const all = counted.reduce((sum, each) => sum + each.count, 0);
  const words = all ? `${count(all)} paths, half of them up to ${number(quantile(0.5, counted))}; bars are named by their upper ends` : "none yet";
  chart.show(
    counted.map(({ upTo }) => String(upTo)),
    counted.map((each) => each.count),
    words,
  );
}

function reasonTable(now) {
  const rows = byLabel(now, "mcts_searches_total", "stop_reason").filter(([, ended]) => ended);
  const all = rows.reduce((sum, [, ended]) => sum + ended, 0);
  const row = ([reason, ended]) =>
    el(
      "tr",
      {},
      el("td", {}, reason),
      el("td", {}, el("meter", { min: "0", max: String(all), value: String(ended), "aria-label": `Share of ${reason}` })),
      el("td", { class: "num" }, count(ended)),
    );
  return table("Why searches ended", [["Reason"], ["Share"], ["Searches", "num"]], rows.map(row));
}

function strategyTable(now) {
  const rows = byLabel(now, "mcts_searches_total", "strategy")
    .filter(([, ended]) => ended)
    .map(([strategy, ended]) => {
      const counted = buckets(now, null, LATENCY, { strategy });
      const cells = [count(ended), seconds(quantile(0.5, counted)), seconds(quantile(0.95, counted)), count(total(now, "mcts_generated_tokens_total", { strategy }) / ended)];
      return el("tr", {}, el("td", {}, strategy), cells.map((cell) => el("td", { class: "num" }, cell)));
    });
  return table("Strategies", [["Strategy"], ["Searches", "num"], ["Median", "num"], ["p95", "num"], ["Tokens each", "num"]], rows);
}

function line(label, colour) {
  return { label, colour };
}

function whole(value) {
  return value === null || value === undefined ? "–" : count(value);
}
