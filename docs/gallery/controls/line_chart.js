import { lineChart } from "studium_widgets/controls/line_chart.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  ui.controls(slider(ui, "number", { label: "Waves", min: 1, max: 9 }));
  const chart = lineChart(ui, { label: "Two waves", x: { label: "x" }, y: { label: "height", range: [-1, 1] } });
  ui.add(chart.element);
  return () => {
    const x = Array.from({ length: 101 }, (_, i) => i / 100);
    const wave = (shift) => x.map((at) => Math.sin(2 * Math.PI * ui.get("number") * at + shift));
    chart.draw({
      x,
      series: [
        { name: "one", y: wave(0) },
        { name: "other", y: wave(1) },
      ],
      marks: [{ x: 0.5, label: "half" }],
    });
    ui.say(`${ui.get("number")} waves.`);
  };
});
