// The model in the kernel: asked once a drawing rests, and what is said while it draws or where nobody answers.
import { settle } from "studium_widgets/controls/timing.js";

const [REST, PATIENCE] = [350, 15000]; // ms: a stroke has ended; a kernel is expected to have answered

/** Gives {draw, fresh(), says(shown)}: `draw` asks where the drawing is new, `fresh` says whether `images` are its. */
export function kernel(ui) {
  const state = { asked: "", late: false, timer: 0 };
  const wanted = () => `${ui.get("scale")} ${ui.get("drawing")}`;
  const fresh = () => ui.get("answered") === wanted() && !ui.get("problem") && ui.array("images") !== null;
  const ask = settle(
    (request) => {
      Object.assign(state, { asked: request, late: false });
      clearTimeout(state.timer);
      state.timer = setTimeout(() => {
        state.late = ui.get("answered") !== request;
        ui.redraw();
      }, PATIENCE);
      ui.set("request", request);
    },
    REST,
    ui.signal,
  );
  ui.signal.addEventListener("abort", () => clearTimeout(state.timer), { once: true });
  const draw = () => {
    if (ui.get("asks") && !fresh() && wanted() !== state.asked) ask(wanted());
  };
  return { draw, fresh, says: (shown) => words(ui, state, wanted(), fresh(), shown) };
}

function words(ui, state, wanted, fresh, { near, name }) {
  if (fresh) return "Drawn by the model in your kernel, from this drawing.";
  const exact = near.overlap === 1;
  const kept = exact
    ? `Stored images of “${name}”.`
    : `Stored images of “${name}”, the nearest of the stored drawings (overlap ${near.overlap.toFixed(2)}).`;
  if (!ui.get("asks"))
    return exact ? kept : `${kept} With your trained control, later in the lesson, the images follow every stroke.`;
  if (ui.get("problem") && ui.get("answered") === wanted)
    return `The model could not draw it: ${ui.get("problem")}. ${kept}`;
  return state.late
    ? `No kernel answers: run this notebook's cells to draw with your model. ${kept}`
    : `The model draws … Until then: ${kept}`;
}
