// Two lanes: the same text written without a cache and with one, pass by pass; the model runs here.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { legend } from "studium_widgets/controls/legend.js";
import { memo } from "studium_widgets/controls/memo.js";
import { colour } from "studium_widgets/controls/palette.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { bytes, FAULTS, lane, through, without, work } from "./lanes_maths.js";

const SHADES = { kept: 0.3, again: 0.62 };
const shown = (character) => ({ "\n": "⏎", " ": "·" })[character] ?? character;
const millions = (flops) => `${(flops / 1e6).toFixed(flops < 1e7 ? 2 : 1)} MFLOP`;
const kilobytes = (count) => `${(count / 1024).toFixed(1)} KiB`;

export default widget((ui) => {
  const weights = weightsOf(ui);
  const characters = Array.from(ui.get("characters"));
  const passes = ui.get("new");
  const plain = memo((prompt) => without(weights, prompt, passes));
  const cached = memo((prompt, fault) => through(weights, prompt, passes, fault));
  const steps = player(ui, "written", { label: "Tokens written", ends: () => [1, passes] });
  const fault = select(ui, "fault", {
    label: "Put in a mistake",
    options: Object.entries(FAULTS).map(([name, [label]]) => [name, label]),
  });
  ui.controls(steps.element, fault);
  ui.more(slider(ui, "page", { label: "Slots in a page", values: [1, 2, 4, 8, 16, 32] }));
  ui.invite(
    "play: without a cache every pass computes all tokens again, with one only the newest. Then put in a mistake.",
  );
  demonstrate(ui, "written", steps.all, 4000);
  const line = texts();
  const lanes = ["Without a cache", "With a cache"].map((title) => laneOf(ui, title));
  const key = legend(ui);
  const flops = bars(ui, { label: "Work so far", format: millions });
  const memory = bars(ui, { label: "Memory of the cache", format: kilobytes });
  const numbers = facts(["Times the work without a cache", "In the cache", "Tokens that differ"]);
  const pages = pageTable();
  const effect = h("p", { class: "st-lane-note" });
  const table = dataTable(ui, { caption: "Both lanes, one row a pass" });
  const grid = h(
    "div",
    { class: "st-lanes" },
    ...lanes.map(({ element }) => element),
    titled("Work so far", flops.element),
    titled("Memory of the cache", memory.element, pages.element),
  );
  ui.add(line.element, effect, key.element, grid, numbers.element, table.element);
  return () => {
    steps.draw();
    const [prompt, written, page] = [ui.get("prompt"), ui.get("written"), ui.get("page")];
    const found = { plain: plain(prompt), cached: cached(prompt, ui.get("fault")) };
    const differ = found.cached.slice(0, written).filter((token, i) => token !== found.plain[i]).length;
    const held = prompt.length + written - 1;
    const spent = [false, true].map((use) => work(weights, prompt.length, written, use));
    line.draw(prompt, found, written, characters);
    put(effect, "textContent", FAULTS[ui.get("fault")][1]);
    lanes.forEach(({ map }, use) =>
      map.draw({ ...lane(prompt.length, passes, written, use === 1, SHADES), range: [0, 1] }),
    );
    key.draw(keys(ui.theme.dark));
    const most = work(weights, prompt.length, passes, false);
    flops.draw(
      ["without", "with"].map((name, i) => ({ name, value: spent[i], kind: i ? "chosen" : "wrong" })),
      most,
    );
    const reserved = Math.ceil(held / page) * page;
    const room = Math.ceil((prompt.length + passes - 1) / page) * page;
    memory.draw(
      [
        { name: "tokens", value: bytes(weights, held) },
        { name: "pages", value: bytes(weights, reserved) },
      ],
      bytes(weights, room),
    );
    pages.draw(held, page);
    numbers.draw([
      [`${(spent[0] / spent[1]).toFixed(1)} ×`, `after ${written} ${written === 1 ? "token" : "tokens"}`],
      [`${held} tokens`, `${reserved - held} of ${reserved} slots are empty`],
      [`${differ} of ${written}`, differ ? FAULTS[ui.get("fault")][0] : "the same text"],
    ]);
    table.draw(() => rows(weights, prompt, found, characters));
    ui.say(sentence(written, differ, spent, held));
  };
});

function weightsOf(ui) {
  const names = ["embedding", "head", "norm", "norms", "q", "k", "v", "o", "up", "down"];
  const flat = Object.fromEntries(names.map((name) => [name, ui.array(name).data]));
  const [tokens, width] = ui.array("embedding").shape;
  const [layers, hidden] = ui.array("up").shape;
  return { ...flat, tokens, width, hidden, layers, heads: ui.get("heads") };
}

const titled = (title, ...parts) => h("div", { class: "st-part" }, h("h4", {}, title), ...parts);

function laneOf(ui, title) {
  const map = heatMap(ui, { label: title, size: 420 });
  return { map, element: titled(`${title}: a row a pass, a column a token`, map.element) };
}

function keys(dark) {
  const shade = (at) => ({ mark: "■", stroke: colour("sequential", dark, at) });
  return [
    { name: "computed for the first time", ...shade(1) },
    { name: "computed again", ...shade(SHADES.again) },
    { name: "taken from the cache", ...shade(SHADES.kept) },
  ];
}

// The prompt, and what both lanes write; the first token that differs is marked, and so are those after it.
function texts() {
  const lines = ["without", "with"].map((name) => ({ name, text: h("span", { class: "st-written" }) }));
  const prompt = h("span", { class: "st-prompt" });
  const row = (name, text) => [h("dt", {}, name), h("dd", {}, text)];
  const element = h(
    "dl",
    { class: "st-lane-texts" },
    ...row("prompt", prompt),
    ...lines.flatMap(({ name, text }) => row(name, text)),
  );
  const draw = (ids, { plain, cached }, written, characters) => {
    put(prompt, "textContent", ids.map((token) => shown(characters[token])).join(""));
    [plain, cached].forEach((tokens, i) => {
      const parts = tokens.slice(0, written).map((token, at) => {
        const wrong = i && token !== plain[at];
        return h("span", wrong ? { class: "st-differs" } : {}, shown(characters[token]));
      });
      lines[i].text.replaceChildren(...parts);
    });
  };
  return { element, draw };
}

// One box a page, one cell a slot.
function pageTable() {
  const element = h("div", { class: "st-pages", "aria-hidden": "true" });
  const draw = (held, page) => {
    const boxes = Array.from({ length: Math.ceil(held / page) }, (_, number) => {
      const slots = Array.from({ length: page }, (__, slot) =>
        h("i", number * page + slot < held ? {} : { class: "st-empty" }),
      );
      return h("span", {}, ...slots);
    });
    element.replaceChildren(...boxes);
  };
  return { element, draw };
}

function rows(weights, prompt, { plain, cached }, characters) {
  const each = plain.map((token, at) => {
    const cost = (use) => millions(work(weights, prompt.length, at + 1, use));
    return [
      at + 1,
      shown(characters[token]),
      shown(characters[cached[at]]),
      cost(false),
      cost(true),
      kilobytes(bytes(weights, prompt.length + at)),
    ];
  });
  return { columns: ["pass", "without", "with", "work so far, without", "with", "cache"], rows: each };
}

function sentence(written, differ, [plain, cached], held) {
  const same = differ ? `${differ} of ${written} tokens differ` : "all tokens are the same";
  return `After ${written} tokens: ${millions(plain)} without a cache, ${millions(cached)} with one; ${held} tokens in the cache; ${same}.`;
}
