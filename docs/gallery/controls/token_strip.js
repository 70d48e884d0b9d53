import { tokenStrip } from "studium_widgets/controls/token_strip.js";
import { widget } from "studium_widgets/controls/widget.js";

const TOKENS = [
  ["The", 0.2],
  [" key", 0.05],
  [" is", 0.6],
  [" here", 0.3],
];

export default widget((ui) => {
  const strip = tokenStrip(ui, { label: "Tokens", picked: (index) => ui.set("number", index) });
  ui.add(strip.element);
  return () => {
    const chosen = Math.min(ui.get("number"), TOKENS.length - 1);
    strip.draw(
      TOKENS.map(([text, share]) => ({ text, share, note: share.toFixed(2) })),
      chosen,
    );
    ui.say(`“${TOKENS[chosen][0].trim()}” has probability ${TOKENS[chosen][1]}.`);
  };
});
