// A widget that does all that the checks ask for; the tests break one thing at a time.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, suppress, uniqueName } from "studium_widgets/controls/element.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";

export default widget((ui) => {
  const options = { id: uniqueName("play"), type: "button", "aria-label": "Play", ...suppress };
  const play = h("button", options, "▶");
  let frame = 0;
  const step = () => {
    ui.set("waves", (ui.get("waves") % 9) + 1);
    frame = ui.still ? 0 : requestAnimationFrame(step);
  };
  const stop = () => (frame = cancelAnimationFrame(frame) ?? 0);
  play.addEventListener("click", () => (frame ? stop() : step()), { signal: ui.signal });
  ui.signal.addEventListener("abort", stop);
  ui.controls(slider(ui, "waves", { label: "Waves", min: 1, max: 9 }), play);
  ui.invite("count the waves that fit into the picture.");
  const chart = lineChart(ui, { label: "Two waves", x: { label: "x" }, y: { label: "y", range: [-1, 1] } });
  const table = dataTable(ui, { caption: "The waves" });
  ui.add(chart.element, table.element);
  return () => {
    const count = ui.get("waves");
    const x = Array.from({ length: 100 }, (_, i) => i);
    const shifts = ui.array("shifts").data;
    const wave = (line) => x.map((i) => Math.sin((i * count) / 16 + shifts[line]));
    chart.draw({
      x,
      series: [
        { name: "one", y: wave(0) },
        { name: "other", y: wave(1) },
      ],
    });
    table.draw(() => ({ columns: ["waves", "first"], rows: [[String(count), wave(1)[0].toFixed(2)]] }));
    ui.say(`There are ${count} waves.`);
  };
});
