import assert from "node:assert/strict";
import { test } from "node:test";
import { entropy, filter, pick, ranking, residual, softmax, verified } from "studium_widgets/token_strip_maths.js";

const close = (actual, expected) => assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const P = Float64Array.of(0.5, 0.2, 0.2, 0.1);
const Q = Float64Array.of(0.1, 0.4, 0.25, 0.25);

test("probabilities sum to one, and a constant added to all logits changes none of them", () => {
  const [low, high] = [softmax([1, 2, 3]), softmax([1001, 1002, 1003])];
  close(sum(low), 1);
  low.forEach((value, i) => close(value, high[i]));
});

test("at temperature zero the largest logit has all of the probability", () => {
  assert.deepEqual([...softmax([1, 3, 2], 0)], [0, 1, 0]);
});

test("tokens that are equally likely keep their order", () => {
  assert.deepEqual([...ranking(P)], [0, 1, 2, 3]);
});

test("top-p keeps the fewest tokens that have its mass together", () => {
  const { count, mass, q } = filter(P, ranking(P), { topP: 0.6 });
  assert.equal(count, 2);
  close(mass, 0.7);
  close(sum(q), 1);
});

test("top-k keeps tokens together that are equally likely", () => {
  assert.deepEqual([...filter(P, ranking(P), { topK: 2 }).cut], [0, 0, 0, 1]);
});

test("the likeliest token passes every filter", () => {
  assert.equal(filter(P, ranking(P), { topK: 1, topP: 0.01, minP: 1 }).cut[0], 0);
});

test("four equally likely tokens have an entropy of two bits", () => {
  close(entropy([0.25, 0.25, 0.25, 0.25]), 2);
});

test("no draw gives a token without probability", () => {
  assert.equal(pick([0, 1, 0], [0, 1, 2], 1e-15), 1);
  assert.equal(pick([0, 1, 0], [0, 1, 2], 1), 1);
});

test("what comes out of a checked draft is distributed as the target", () => {
  const { out, alpha } = verified(P, Q);
  close(alpha, 0.1 + 0.2 + 0.2 + 0.1);
  out.forEach((value, i) => close(value, P[i]));
});

test("what comes out is not distributed as the target when every draft is accepted", () => {
  close(verified(P, Q, "always-accept").distance, 0.4);
});

test("where draft and target agree, nothing is left to draw from but the target", () => {
  assert.equal(residual(P, P), P);
});
