import assert from "node:assert/strict";
import { test } from "node:test";
import { front, passing, stairs, stops } from "studium_widgets/metric_scatter_maths.js";

const POINTS = [
  { name: "small", cost: 1, error: 5 },
  { name: "even", cost: 2, error: 3 },
  { name: "beaten", cost: 3, error: 4 },
  { name: "large", cost: 4, error: 1 },
  { name: "unmeasured", cost: 1, error: null },
];
const AXES = { x: "cost", y: "error" };
const names = (points) => points.map((point) => point.name);
const measured = (limits = {}, hidden = {}) => passing(POINTS, { ...AXES, hidden, limits });

test("a point without a figure is not shown", () => {
  assert.deepEqual(names(measured()), ["small", "even", "beaten", "large"]);
});

test("a point passes a limit that it meets exactly", () => {
  assert.deepEqual(names(measured({ cost: 2 })), ["small", "even"]);
});

test("hidden values are left out", () => {
  assert.deepEqual(names(measured({}, { name: ["large"] })), ["small", "even", "beaten"]);
});

test("the front has the points that no other beats", () => {
  assert.deepEqual(names(front(measured(), { ...AXES, lower: { x: true, y: true } })), ["small", "even", "large"]);
  assert.deepEqual(names(front(measured(), { ...AXES, lower: { x: false, y: false } })), ["small", "beaten", "large"]);
});

test("equal points stay on the front together", () => {
  const twins = [POINTS[0], { ...POINTS[0], name: "twin" }];
  assert.deepEqual(names(front(twins, { ...AXES, lower: { x: true, y: true } })), ["small", "twin"]);
});

test("the line behind the front has one corner between two points", () => {
  const corners = stairs(
    [
      { x: 1, y: 5 },
      { x: 2, y: 3 },
    ],
    true,
  );
  assert.deepEqual(corners, [
    { x: 1, y: 5 },
    { x: 2, y: 5 },
    { x: 2, y: 3 },
  ]);
});

test("a stop of a limit is the roundest number that lets its value pass and not the next", () => {
  assert.deepEqual(stops([1.234, 1.31]), [1.3, 2]);
});
