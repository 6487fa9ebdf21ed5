// Small ways to build a page and to write numbers. All text reaches the page as text, never as markup.

// An element. Attributes that begin with "on" are listeners; true, false and null do what one expects.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Terms with what is told of each; those of which nothing is known are left out.
export function facts(pairs) {
  const known = pairs.filter(([, told]) => told !== null && told !== undefined && told !== "");
  const rows = known.map(([term, told]) => el("div", {}, el("dt", {}, term), el("dd", {}, told instanceof Node ? told : String(told))));
  return el("dl", { class: "facts" }, rows);
}

// A table in a frame that scrolls sideways, with the keyboard too, where it is too wide for its page.
export function table(caption, heads, rows, name = caption) {
  const head = heads.map(([name, kind]) => el("th", { scope: "col", class: kind }, name));
  return el(
    "div",
    { class: "scrolls", role: "region", "aria-label": name, tabindex: "0" },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)),
  );
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

export function folded(title, content) {
  return content && el("details", {}, el("summary", {}, title), content);
}

// One line of a text, cut after so many characters.
export function short(text, most) {
  const flat = Array.from((text ?? "").slice(0, Math.min(8 * most, 10_000)).replace(/\s+/g, " ").trim());
  return flat.length <= most ? flat.join("") : `${flat.slice(0, most - 1).join("")}…`;
}

export function number(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toPrecision(3)} s`;
}

export function count(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}
