// The fields of the *try it* form. Which of them a strategy has is read from the server's own OpenAPI document.

import { el } from "./explorer/dom.js";

const NUMBERS = [
  // name, label, where it stands in `search`, attributes
  ["simulations", "Simulations", "budget", { min: 1 }],
  ["samples", "Samples", "search", { min: 1 }],
  ["beams", "Beams", "search", { min: 1 }],
  ["particles", "Particles", "search", { min: 1 }],
  ["seconds", "Seconds", "budget", { min: 0.1, step: "any" }],
  ["tokens", "Tokens", "budget", { min: 1 }],
  ["width", "At once (width)", "search", { min: 1 }],
  ["branch", "Branches", "search", { min: 1 }],
  ["max_depth", "Depth", "search", { min: 1 }],
  ["exploration", "Exploration", "search", { min: 0, step: "any" }],
  ["temperature", "Temperature", "body", { min: 0, step: "any" }],
  ["seed", "Seed", "body", {}],
];

// What can be chosen: the model names with what each does, and for each strategy the fields that it has.
export function choicesOf(models, document) {
  const strategies = {};
  const schemas = document.components.schemas;
  const followed = (schema) => {
    const reference = schema?.$ref ?? schema?.anyOf?.find((each) => each.$ref)?.$ref;
    return reference ? schemas[reference.split("/").at(-1)] : schema;
  };
  for (const { properties } of Object.values(schemas)) {
    const name = properties?.strategy?.const;
    if (!name) continue;
    strategies[name] = { search: Object.keys(properties), budget: Object.keys(followed(properties.budget)?.properties ?? {}) };
  }
  return { models: models.data, strategies };
}

// The fields by name: {element, input, where}.
export function fieldsOf(choices) {
  const model = selectOf(choices.models.map(({ id, description }) => [id, `${id} – ${description}`]));
  const strategy = selectOf([["", "as the model says"], ...Object.keys(choices.strategies).map((name) => [name, name])]);
  const made = {
    model: field("model", "Model or preset", model, "body"),
    strategy: field("strategy", "Strategy", strategy, "search"),
  };
  for (const [name, label, where, limits] of NUMBERS) {
    const input = el("input", { type: "number", step: "1", placeholder: "default", ...limits });
    made[name] = field(name, label, input, where);
  }
  return made;
}

// Hides the fields that the chosen strategy does not have, now and whenever another is chosen.
export function showFields(fields, choices) {
  const update = () => {
    const preset = choices.models.find(({ id }) => id === fields.model.input.value);
    const has = choices.strategies[fields.strategy.input.value || preset?.search?.strategy];
    for (const [name, , where] of NUMBERS) {
      const fits = where === "body" || !has || has[where].includes(name);
      fields[name].element.hidden = !fits;
      fields[name].input.disabled = !fits;
    }
  };
  fields.model.input.addEventListener("change", update);
  fields.strategy.input.addEventListener("change", update);
  update();
}

// What the fields say, as fields of a request.
export function settingsOf(fields) {
  const body = {};
  const search = { progress: "events" };
  const budget = {};
  for (const [name, { input, where }] of Object.entries(fields)) {
    if (input.disabled || input.value === "") continue;
    const value = input.type === "number" ? Number(input.value) : input.value;
    ({ body, search, budget })[where][name] = value;
  }
  if (Object.keys(budget).length) search.budget = budget;
  return { ...body, search };
}

function field(name, label, input, where) {
  input.id = `field-${name}`;
  return { input, where, element: el("div", {}, el("label", { for: input.id }, label), input) };
}

function selectOf(options) {
  return el("select", {}, options.map(([value, text]) => el("option", { value }, text)));
}
