// The slider that goes through the growth of a tree, and plays it.

import { button, el } from "./dom.js";

const WHOLE = 8; // seconds that a replay takes
const FRAMES = 15; // per second

let replays = 0; // for ids that are unique in the page

// Gives {element, at(), seek(count), play(), stop()}.
//   growth: as `growthOf` gives it
//   onSeek: told the state of the moment that was chosen
export function replayOf(growth, onSeek) {
  const name = `growth-${(replays += 1)}`;
  const slider = el("input", { type: "range", id: name, min: "0", step: "1", oninput: () => (stop(), seek(Number(slider.value))) });
  const told = el("output", { for: name });
  const playing = button("▶ Replay", () => (timer ? stop() : play()), { class: "replay-button" });
  let timer = 0;
  let now = growth.length;

  const seek = (wanted) => {
    now = Math.max(0, Math.min(growth.length, wanted));
    const state = growth.at(now);
    slider.max = String(growth.length);
    slider.value = String(now);
    const moment = `${state.seconds.toFixed(2)} s · ${state.born} nodes · ${state.simulations} done`;
    told.textContent = moment;
    slider.setAttribute("aria-valuetext", moment);
    onSeek(state);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    playing.textContent = "▶ Replay";
  };
  const play = () => {
    if (now >= growth.length) seek(0);
    playing.textContent = "■ Stop";
    const step = Math.max(1, Math.round(growth.length / (WHOLE * FRAMES)));
    timer = setInterval(() => {
      seek(now + step);
      if (now >= growth.length) stop();
    }, 1000 / FRAMES);
  };
  const element = el(
    "div",
    { class: "replay", role: "group", "aria-label": "How the tree grew" },
    playing,
    el("label", { for: name }, "Growth"),
    slider,
    told,
  );
  return { element, at: () => now, seek, play, stop };
}
