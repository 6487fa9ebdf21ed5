// Charts of uPlot (globalThis.uPlot, a classic script) in the page's colours, each with what it shows in words.

import { onTheme } from "./explorer/colours.js";
import { el } from "./explorer/dom.js";

const HEIGHT = 190;
const DASHES = [[], [7, 4], [2, 3]]; // lines differ by more than colour

// A chart of lines over time. Gives {element, show(times, columns, words), destroy()}.
//   series: [{label, colour: name of a variable of theme.css}]
//   write: makes text of a value
export function timeChart(title, series, write) {
  const lines = (colour) =>
    series.map(({ label, colour: name }, at) => ({
      label,
      stroke: colour(name),
      width: 2,
      dash: DASHES[at],
      points: { show: false },
    }));
  const options = (colour) => ({
    series: [{ label: "time" }, ...lines(colour)],
    axes: [{ values: (_, ticks) => ticks.map(clock), space: 80, size: 30, ...axisLook(colour) }, { values: (_, ticks) => ticks.map(write), size: 62, ...axisLook(colour) }],
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1 || 0, 1e-3)] } },
    cursor: { drag: { x: false, y: false } },
    legend: { show: series.length > 1, live: false },
  });
  return chart(title, options, [[], ...series.map(() => [])]);
}

// A chart of bars beside each other. Gives the same; `show` takes their names and their heights.
export function barChart(title, colourName, write) {
  let names = [];
  const options = (colour) => ({
    series: [
      {},
      {
        label: title,
        stroke: colour(colourName),
        fill: colour(colourName),
        paths: globalThis.uPlot.paths.bars({ size: [0.88, 80] }),
        points: { show: false },
      },
    ],
    axes: [
      { splits: () => names.map((_, at) => at), values: (_, splits) => splits.map((at) => names[at] ?? ""), size: 30, ...axisLook(colour) },
      { values: (_, ticks) => ticks.map(write), size: 62, ...axisLook(colour) },
    ],
    scales: {
      x: { time: false, range: () => [-0.6, names.length - 0.4] },
      y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] },
    },
    cursor: { show: false },
    legend: { show: false },
  });
  const made = chart(title, options, [[], []]);
  return {
    ...made,
    show(told, heights, words) {
      names = told;
      made.show(told.map((_, at) => at), [heights], words);
    },
  };
}

function chart(title, optionsOf, empty) {
  const words = el("p", { class: "quiet words" });
  const frame = el("div", { class: "plot", role: "img", "aria-label": title });
  const element = el("figure", { class: "chart card" }, el("figcaption", {}, title), frame, words);
  let data = empty;
  let plot = null;
  const build = () => {
    plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const width = frame.clientWidth;
    plot = width ? new globalThis.uPlot({ width, height: HEIGHT, ...optionsOf(colour) }, data, frame) : null;
  };
  const watching = new ResizeObserver(() => (plot && frame.clientWidth ? plot.setSize({ width: frame.clientWidth, height: HEIGHT }) : build()));
  watching.observe(frame);
  const forget = onTheme(build);
  return {
    element,
    show(first, columns, told) {
      data = [first, ...columns];
      words.textContent = told;
      frame.setAttribute("aria-label", `${title}: ${told}`);
      plot?.setData(data);
    },
    destroy() {
      watching.disconnect();
      forget();
      plot?.destroy();
    },
  };
}

function clock(time) {
  return new Date(time * 1000).toLocaleTimeString("en-GB");
}

function axisLook(colour) {
  return {
    stroke: colour("quiet"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
}
