// The names, numbers and sentences beside the pictures.

export const NAMES = {
  langevin: "Langevin",
  annealed: "Annealed Langevin",
  ancestral: "DDPM",
  ddim: "DDIM",
  flow: "Probability flow (Heun)",
  yours: "Yours",
};

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

export const number = (value) =>
  Number.isFinite(value)
    ? value >= 1000
      ? value.toExponential(1).replace("e+", "e")
      : String(Number(value.toPrecision(3)))
    : "–";

/** What the group g is called: a class where something is guided, else a mode. */
export function groupName(ui, guidance, g) {
  return guidance === "none" ? `mode ${g + 1}` : (ui.get("labels")[g] ?? `class ${g}`);
}

export function rowsOf(ui, { found, goal, guidance, step, n }) {
  const rows = Array.from(found.shares, (share, g) => [
    `share in ${groupName(ui, guidance, g)}`,
    percent(share),
    percent(goal.shares[g]),
  ]);
  const settings = [
    ["step", `${step} of ${n}`, String(n)],
    ["scale s", guidance === "none" ? "–" : number(ui.get("scale")), ""],
  ];
  const measures = ["radius", "spread"].map((name) => [
    name === "radius" ? "mean radius" : "covariance, trace",
    number(found[name]),
    number(goal[name]),
  ]);
  return { columns: ["", "particles", "exact"], rows: [...settings, ...rows, ...measures] };
}

export function sentence(ui, now) {
  const { sampler, guidance, mistake, step, n, found, goal } = now;
  const wrong = mistake[0] === "none" ? "" : ` with “${mistake[1]}”`;
  const start = `${NAMES[sampler]}, step ${step} of ${n}${wrong}`;
  const g = guidance === "none" ? heaviest(goal.shares) : ui.get("label");
  const here = `${percent(found.shares[g])} of ${ui.get("particles")} particles are in ${groupName(ui, guidance, g)}, exact ${percent(goal.shares[g])}`;
  if (guidance === "none") return `${start}: ${here}.`;
  const s = ui.get("scale");
  const asked =
    guidance === "classifier"
      ? `classifier guidance s = ${number(s)}`
      : `classifier-free guidance s = ${number(s)} (w = ${number(s - 1).replace("-", "−")})`;
  return `${start}, ${asked}: ${here}; mean radius ${number(found.radius)}, exact ${number(goal.radius)}.`;
}

const heaviest = (values) => values.indexOf(Math.max(...values));
