import { bars } from "studium_widgets/controls/bars.js";
import { barsVerdict, prediction } from "studium_widgets/controls/prediction.js";
import { widget } from "studium_widgets/controls/widget.js";

const [NAMES, TRUTH] = [
  ["rank 1", "rank 4", "rank 16"],
  [0.42, 0.71, 0.74],
];

export default widget((ui) => {
  const ask = prediction(ui, { count: () => 3, how: "How accurate is each rank? Set the bars." });
  const chart = bars(ui, { label: "Accuracy", ask });
  ui.add(ask.element, chart.element);
  return () => {
    chart.draw(
      NAMES.map((name, i) => ({ name, value: TRUTH[i] })),
      1,
    );
    const judged = !ask.asking() && ask.predicted();
    ui.say(
      judged
        ? barsVerdict(ask.values(), TRUTH, NAMES, { name: "accuracy", range: [0, 1] })
        : "Three bars are asked for.",
    );
  };
});
