// The U-Net of kits/diffusion.py for one image at a time: pure functions of flat arrays, channels first, no DOM.

const GROUPS = 8;
const EPSILON = 1e-5;

/**
 * The function predict(x (C S S,), t, said) → what the network answers, of tensors by name ({data, shape}, as in the state
 * dict). `levels`: the number of levels t. `said`: what is added to the embedding of t, a label's or a text's; or null.
 */
export function unet(tensors, levels) {
  const told = levelOf(tensors, levels);
  const block = blockOf(tensors);
  const [enter, leave] = [convOf(tensors, "enter"), convOf(tensors, "leave.2")];
  const [gain, offset] = [tensors.get("leave.0.weight").data, tensors.get("leave.0.bias").data];
  const channels = tensors.get("enter.weight").shape[1];
  const depths = [...tensors.keys()].filter((name) => /^down\.\d+\.first\.bias$/.test(name)).map((_, depth) => depth);
  return (image, t, said) => {
    const about = told(t, said);
    const skips = [];
    let size = Math.sqrt(image.length / channels);
    let x = enter(image, size);
    for (const depth of depths) {
      if (depth) [x, size] = [pool(x, size), size / 2];
      x = block(`down.${depth}`, x, size, about);
      skips.push(x);
    }
    x = block("middle", x, size, about);
    for (const depth of depths) {
      if (depth) [x, size] = [enlarge(x, size), size * 2];
      x = block(`up.${depth}`, joined(x, skips.pop()), size, about);
    }
    return leave(silu(groupNorm(x, gain, offset, size * size)), size);
  };
}

// The embedding of a level, with what is said beside it, after SiLU.
function levelOf(tensors, levels) {
  const [first, second] = [linearOf(tensors, "level.0"), linearOf(tensors, "level.2")];
  const width = tensors.get("enter.weight").shape[0];
  return (t, said) => {
    const out = second(silu(first(sinusoid((t * 1000) / levels, width))));
    return silu(said ? out.map((value, i) => value + said[i]) : out);
  };
}

function sinusoid(t, width) {
  const half = width / 2;
  const angle = (i) => t * Math.exp((-Math.log(10000) * i) / (half - 1));
  return Float32Array.from({ length: width }, (_, i) => (i < half ? Math.sin(angle(i)) : Math.cos(angle(i - half))));
}

/** The function of a vector that the linear layer `name` is. */
export function linearOf(tensors, name) {
  const [weight, bias] = [tensors.get(`${name}.weight`).data, tensors.get(`${name}.bias`).data];
  return (x) => bias.map((start, o) => x.reduce((sum, value, i) => sum + weight[o * x.length + i] * value, start));
}

function convOf(tensors, name) {
  const [weight, bias] = [tensors.get(`${name}.weight`), tensors.get(`${name}.bias`).data];
  const conv = weight.shape[2] === 3 ? conv3 : conv1;
  return (x, side) => conv(x, side, weight.data, bias);
}

function blockOf(tensors) {
  const made = new Map();
  const make = (name) => ({
    before: ["weight", "bias"].map((part) => tensors.get(`${name}.before.${part}`).data),
    after: ["weight", "bias"].map((part) => tensors.get(`${name}.after.${part}`).data),
    first: convOf(tensors, `${name}.first`),
    second: convOf(tensors, `${name}.second`),
    modulate: linearOf(tensors, `${name}.modulate`),
    bypass: tensors.has(`${name}.bypass.weight`) ? convOf(tensors, `${name}.bypass`) : (x) => x,
  });
  return (name, x, side, about) => {
    if (!made.has(name)) made.set(name, make(name));
    const { before, after, first, second, modulate, bypass } = made.get(name);
    const area = side * side;
    const between = first(silu(groupNorm(x, ...before, area)), side);
    const scaled = scaleAndShift(groupNorm(between, ...after, area), modulate(about), area);
    const out = second(silu(scaled), side);
    const past = bypass(x, side);
    for (let i = 0; i < out.length; i++) out[i] += past[i];
    return out;
  };
}

function scaleAndShift(x, told, area) {
  const channels = x.length / area;
  for (let c = 0; c < channels; c++) {
    for (let i = c * area; i < (c + 1) * area; i++) x[i] = x[i] * (1 + told[c]) + told[channels + c];
  }
  return x;
}

/** x / (1 + e^-x) of each number. */
export function silu(x) {
  const out = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = x[i] / (1 + Math.exp(-x[i]));
  return out;
}

function groupNorm(x, gain, offset, area) {
  const out = new Float32Array(x.length);
  const size = x.length / GROUPS;
  for (let start = 0; start < x.length; start += size) {
    let [sum, squares] = [0, 0];
    for (let i = start; i < start + size; i++) sum += x[i];
    const mean = sum / size;
    for (let i = start; i < start + size; i++) squares += (x[i] - mean) ** 2;
    const share = 1 / Math.sqrt(squares / size + EPSILON);
    for (let i = start; i < start + size; i++) {
      const channel = Math.floor(i / area);
      out[i] = (x[i] - mean) * share * gain[channel] + offset[channel];
    }
  }
  return out;
}

function conv1(x, side, weight, bias) {
  const area = side * side;
  const [inputs, out] = [x.length / area, new Float32Array(bias.length * area)];
  for (let o = 0; o < bias.length; o++) {
    out.fill(bias[o], o * area, (o + 1) * area);
    for (let c = 0; c < inputs; c++) {
      const w = weight[o * inputs + c];
      for (let i = 0; i < area; i++) out[o * area + i] += w * x[c * area + i];
    }
  }
  return out;
}

function conv3(x, side, weight, bias) {
  const [area, wide] = [side * side, side + 2];
  const [inputs, out] = [x.length / area, new Float32Array(bias.length * area)];
  const padded = pad(x, side);
  for (let o = 0; o < bias.length; o++) {
    out.fill(bias[o], o * area, (o + 1) * area);
    for (let c = 0; c < inputs; c++)
      addPlane(out, o * area, padded, c * wide * wide, weight, (o * inputs + c) * 9, side);
  }
  return out;
}

// The nine weights stay in registers while one plane is added to another.
function addPlane(out, to, padded, from, weight, at, side) {
  const wide = side + 2;
  const [a, b, c] = [weight[at], weight[at + 1], weight[at + 2]];
  const [d, e, f] = [weight[at + 3], weight[at + 4], weight[at + 5]];
  const [g, h, i] = [weight[at + 6], weight[at + 7], weight[at + 8]];
  for (let row = 0; row < side; row++) {
    let [p, q] = [from + row * wide, to + row * side];
    for (let column = 0; column < side; column++, p++, q++) {
      out[q] +=
        a * padded[p] +
        b * padded[p + 1] +
        c * padded[p + 2] +
        d * padded[p + wide] +
        e * padded[p + wide + 1] +
        f * padded[p + wide + 2] +
        g * padded[p + 2 * wide] +
        h * padded[p + 2 * wide + 1] +
        i * padded[p + 2 * wide + 2];
    }
  }
}

function pad(x, side) {
  const wide = side + 2;
  const channels = x.length / (side * side);
  const out = new Float32Array(channels * wide * wide);
  for (let row = 0; row < channels * side; row++) {
    const [channel, y] = [Math.floor(row / side), row % side];
    out.set(x.subarray(row * side, (row + 1) * side), (channel * wide + y + 1) * wide + 1);
  }
  return out;
}

function pool(x, side) {
  const half = side / 2;
  const out = new Float32Array(x.length / 4);
  for (let i = 0; i < out.length; i++) {
    const at = 2 * side * Math.floor(i / half) + 2 * (i % half);
    out[i] = (x[at] + x[at + 1] + x[at + side] + x[at + side + 1]) / 4;
  }
  return out;
}

function enlarge(x, side) {
  const wide = 2 * side;
  const out = new Float32Array(4 * x.length);
  for (let i = 0; i < out.length; i++) out[i] = x[side * (Math.floor(i / wide) >> 1) + ((i % wide) >> 1)];
  return out;
}

function joined(first, second) {
  const out = new Float32Array(first.length + second.length);
  out.set(first);
  out.set(second, first.length);
  return out;
}
