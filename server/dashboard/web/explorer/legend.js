// What colours and sizes of the tree mean.

import { onTheme, shades } from "./colours.js";
import { el, number } from "./dom.js";

const STEPS = 16;

// Gives {element, show(range), destroy()}.
export function legendOf() {
  const steps = Array.from({ length: STEPS }, () => el("i"));
  const colour = () => {
    const colours = shades();
    steps.forEach((step, at) => (step.style.backgroundColor = colours[Math.floor(((at + 0.5) / STEPS) * colours.length)]));
  };
  colour();
  const low = el("span");
  const high = el("span");
  const element = el(
    "p",
    { class: "legend" },
    el("span", {}, "value ", low, " ", el("span", { class: "scale", "aria-hidden": "true" }, steps), " ", high),
    el("span", {}, el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")), " more visits"),
    el("span", {}, el("span", { class: "ring", "aria-hidden": "true" }), " winning path"),
  );
  const show = (range) => [low, high].forEach((end, at) => (end.textContent = number(range[at])));
  return { element, show, destroy: onTheme(colour) };
}
