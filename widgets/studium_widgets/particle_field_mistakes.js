// Mistakes that can be switched on: their name, what the menu calls them, what they do, and where they can be made.
const langevin = ({ sampler }) => sampler === "langevin" || sampler === "annealed";
const annealed = ({ sampler }) => sampler === "annealed";
const diffusion = (now) => !langevin(now);
const ancestral = ({ sampler }) => sampler === "ancestral";
const classifier = ({ guidance }) => guidance === "classifier";
const free = ({ guidance }) => guidance === "classifier-free";

const NONE = [
  "none",
  "None: correct code",
  "The scores are exact: what is still wrong comes from the steps, their number and their size.",
  () => true,
];

export const MISTAKES = [
  NONE,
  [
    "constant-step",
    "The same step at every level",
    "The step should shrink with σ². Too short at high noise, it never lets walkers cross between modes.",
    annealed,
  ],
  [
    "not-squared",
    "Step grows with σ, not σ²",
    "The signal-to-noise ratio of a step then differs from level to level.",
    annealed,
  ],
  [
    "linear-ladder",
    "Levels evenly spaced",
    "Most levels lie at high noise; the last jumps are too large for the ratio to stay constant.",
    annealed,
  ],
  [
    "reversed",
    "Levels in reverse order",
    "From fine to coarse: the cloud ends at the largest σ, spread over everything.",
    annealed,
  ],
  [
    "no-noise",
    "Noise left out",
    "What is left climbs the density: walkers gather on the tops, or samples shrink onto the modes.",
    (now) => langevin(now) || ancestral(now),
  ],
  [
    "double-noise",
    "√(2a) beside a / 2",
    "Drift and noise come from two conventions: the cloud has about twice its variance.",
    langevin,
  ],
  ["sigma-squared", "σ² used for σ", "σ is below 1, so its square is too little noise.", ancestral],
  ["sqrt-one-minus-alpha", "√(1 − α) for √(1 − ᾱ)", "Each step takes away too much of ε.", diffusion],
  ["off-by-one", "Network told t − 1", "It takes each x for less noisy than it is.", diffusion],
  [
    "sqrt-beta",
    "√β for √(1 − ᾱ)",
    "A tutorial's σₜ: the pull is far too weak early on. A larger s hides it.",
    (now) => classifier(now) && diffusion(now),
  ],
  ["flipped", "Sign flipped", "The samples flee from the class.", classifier],
  [
    "gradient-of-p",
    "Gradient of p, not of log p",
    "Where the class is unlikely, the pull vanishes: just where it is needed.",
    classifier,
  ],
  [
    "guide-mean",
    "Mean moved by s Σ ∇log p",
    "No mistake: the other form, which agrees as the steps grow many.",
    (now) => classifier(now) && ancestral(now),
  ],
  ["s-for-w", "ε_c + s (ε_c − ε_u)", "s taken for w: the guidance is one stronger than it says.", free],
  ["sum-for-difference", "s ε_c + (s − 1) ε_u", "A plus for a minus: no longer a noise that belongs to x.", free],
];

/** Those that can be made with this sampler and this guidance: rows of MISTAKES. */
export const possible = (now) => MISTAKES.filter(([, , , where]) => where(now));

/** The mistake that is in force: one that does not concern the sampler does nothing. */
export const inForce = (now, mistake) => possible(now).find(([name]) => name === mistake) ?? NONE;
