// Checks the state of a saved picture by its class's rules (schema.py), for a notebook may hold anything.
import { decode, TYPES } from "../controls/arrays.js";

const FITS = {
  boolean: (value) => typeof value === "boolean",
  integer: Number.isSafeInteger,
  number: Number.isFinite,
  string: (value) => typeof value === "string",
  array: Array.isArray,
  object: isObject,
  tensor: isTensor,
};

/** Whether `value` is a plain object, as JSON has them. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first thing that is wrong with `state` as a sentence, or "" where it keeps the rules. */
export function findProblem(state, rules) {
  for (const [name, rule] of Object.entries(rules)) {
    const value = Object.hasOwn(state, name) ? state[name] : undefined;
    const needed = findNeed(value, rule);
    if (needed) return `${name} needs ${needed}, got ${spelt(value)}`;
  }
  return findRelation(state, rules);
}

// What relates traits to each other, once each has its type.
function findRelation(state, rules) {
  const [axes, unlike] = axesOf(state, rules);
  if (unlike) return unlike;
  const last = (name) => axes.get(name) ?? (Array.isArray(state[name]) ? state[name].length - 1 : state[name]);
  // An array that is not there bounds nothing.
  for (const [name, { between, each, each_if_any: some }] of Object.entries(rules)) {
    const value = state[name];
    if (value === null || !(between || each || some)) continue;
    const [low, high] = (between ?? []).map((bound) => (typeof bound === "string" ? last(bound) : bound));
    const wrong = [value].flat().find((number) => number < low || number > high);
    if (wrong !== undefined) return `${name} needs a number from ${low} to ${high}, got ${spelt(wrong)}`;
    const wanted = last(each ?? some) + 1;
    if (wanted >= 0 && value.length !== wanted && (each || value.length))
      return `${name} needs ${wanted} items, got ${value.length}`;
  }
  return "";
}

// The last index of every axis that has a name, and what is wrong where two arrays have it at different lengths.
function axesOf(state, rules) {
  const axes = new Map();
  for (const [name, { type, shape }] of Object.entries(rules)) {
    if (type !== "tensor" || !shape || state[name] === null) continue;
    for (const [at, length] of state[name].shape.entries()) {
      const last = axes.get(shape[at]) ?? length - 1;
      if (typeof shape[at] === "string") axes.set(shape[at], last);
      if (last < 0) return [axes, `${name} needs numbers, got none`];
      if (last !== length - 1) return [axes, `${name} needs ${last + 1} numbers for its ${shape[at]}, got ${length}`];
    }
  }
  return [axes, ""];
}

// What the rule asks for, where the value is not so; else "".
function findNeed(value, rule) {
  if (value === undefined) return described(rule);
  if (value === null && rule.nullable) return "";
  if (rule.enum) return rule.enum.includes(value) ? "" : described(rule);
  if (!rule.type) return "";
  if (!FITS[rule.type](value) || outOfBounds(value, rule)) return described(rule);
  if (rule.type === "tensor") return findTensorNeed(value, rule);
  const item = rule.items && value.map((one) => findNeed(one, rule.items)).find(Boolean);
  return item ? `${item} as each item` : "";
}

function outOfBounds(value, { minimum, maximum, minItems, maxItems }) {
  if (typeof value === "number") return value < minimum || value > maximum;
  return Array.isArray(value) && (value.length < minItems || value.length > maxItems);
}

function findTensorNeed(value, rule) {
  if (value.dtype !== rule.dtype || !fitsShape(value.shape, rule.shape)) return described(rule);
  if (rule.finite === null) return "";
  const allowed = (number) => Number.isFinite(number) || (!rule.finite && number === -Infinity);
  return decode(value).data.every(allowed) ? "" : "finite numbers";
}

function fitsShape(shape, axes) {
  if (axes === null) return true;
  const lengths = new Map();
  const fits = (axis, length) => {
    const wanted = Number.isInteger(axis) ? axis : (lengths.get(axis) ?? length);
    lengths.set(axis, wanted);
    return length === wanted;
  };
  return shape.length === axes.length && axes.every((axis, i) => fits(axis, shape[i]));
}

// {dtype, shape, data}, whose base64 text holds as many bytes as the shape asks for.
function isTensor(value) {
  if (!isObject(value) || !Object.hasOwn(TYPES, value.dtype) || !Array.isArray(value.shape)) return false;
  if (typeof value.data !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(value.data)) return false;
  if (!value.shape.every((length) => Number.isSafeInteger(length) && length >= 0)) return false;
  const padding = /=*$/.exec(value.data.slice(-2))[0].length;
  const bytes = (value.data.length / 4) * 3 - padding;
  return bytes === value.shape.reduce((product, length) => product * length, TYPES[value.dtype].BYTES_PER_ELEMENT);
}

function described({ type, enum: choices, minimum, maximum, dtype, shape }) {
  if (choices) return `one of ${choices.map(spelt).join(", ")}`;
  if (type === "tensor") return `${dtype} numbers of ${shape ? `shape (${shape.join(", ")})` : "any shape"}`;
  const kind =
    {
      integer: "a whole number",
      number: "a finite number",
      boolean: "true or false",
      string: "text",
      array: "a list",
      object: "named values",
    }[type] ?? "a value";
  if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `${kind} of at least ${minimum}`;
  return maximum === undefined ? kind : `${kind} of at most ${maximum}`;
}

function spelt(value) {
  if (value === undefined) return "nothing";
  const text = isObject(value)
    ? `{${Object.keys(value).slice(0, 4).join(", ")}}`
    : Array.isArray(value)
      ? "a list"
      : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
