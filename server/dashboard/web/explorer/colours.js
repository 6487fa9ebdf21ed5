// The colours of values: cividis (Nuñez, Anderton and Renslow, 2018), made so that colour-blind readers see the same order.
//
// What stands out is worth more: on a dark ground the bright end, on a light ground the dark end.

const CIVIDIS = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [225, 204, 85],
  [254, 232, 56],
];
const SHADES = 64;
const NARROWEST = 0.05;
const FIRST_DARK = 0.12; // below it cividis cannot be told from a dark ground

const night = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export function isDark() {
  return Boolean(night?.matches);
}

// Calls back whenever light and dark change. Gives what ends that.
export function onTheme(changed) {
  night?.addEventListener("change", changed);
  return () => night?.removeEventListener("change", changed);
}

// Which of the shades a value has in a range: values often lie close together, and would all look the same from 0 to 1.
export function shadeOf(value, [low, high]) {
  return Math.max(0, Math.min(SHADES - 1, Math.floor(((value - low) / (high - low)) * SHADES)));
}

// The range from the lowest to the highest value, never narrower than what two decimals can tell apart.
export function rangeOf(values) {
  let [low, high] = [1, 0];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (high < low) return [0, 1];
  return high - low < NARROWEST ? [Math.max(0, high - NARROWEST), Math.max(high, NARROWEST)] : [low, high];
}

// All shades as CSS colours, of the lowest value first.
export function shades(dark = isDark()) {
  return Array.from({ length: SHADES }, (_, shade) => {
    const share = (shade + 0.5) / SHADES;
    return cividis(dark ? FIRST_DARK + share * (1 - FIRST_DARK) : 1 - share);
  });
}

function cividis(share) {
  const at = share * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const mixed = CIVIDIS[low].map((part, place) => Math.round(part + (at - low) * (CIVIDIS[low + 1][place] - part)));
  return `rgb(${mixed.join(",")})`;
}
