"""Each check passes a sound widget and fails the same widget with one thing broken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from studium_widgets import Array, Widget
from studium_widgets.conformance import hosting_checks as hosting
from studium_widgets.conformance import keyboard_checks as keyboard
from studium_widgets.conformance import opening_checks as opening
from studium_widgets.conformance import reading_checks as reading
from studium_widgets.conformance import sight_checks as sight
from studium_widgets.conformance.verdicts import CHECKS, judge
from traitlets import Int, default

pytestmark = pytest.mark.browser

SOUND = Path(__file__).with_name("waves.js").read_text(encoding="utf-8")
NAMED_BUTTON = '"aria-label": "Play", ...suppress };\n  const play = h("button", options, "▶")'
NAMELESS_BUTTON = '...suppress };\n  const play = h("button", options)'
DRAWN = '{ name: "other", y: wave(1) },\n      ],\n    });\n'  # the end of what the chart draws
END = "  return () => {\n"
BREAKS: dict[str, tuple[Callable, str, str, str]] = {
    "a button with no name": (keyboard.controls_have_names, NAMED_BUTTON, NAMELESS_BUTTON, "a button has no name"),
    "a button without suppress": (keyboard.shortcuts_are_kept_away, ", ...suppress };", " };", "button “Play” lacks"),
    "a button that Tab passes": (
        keyboard.tab_reaches_controls,
        'type: "button"',
        'type: "button", tabindex: -1',
        "Play",
    ),
    "a text that only the mouse reaches": (
        *(keyboard.tab_reaches_controls, END),
        'const text = h("b", {}, "Reset"); text.addEventListener("click", () => {}); ui.add(text);' + END,
        "make it a button",
    ),
    "a box that only feels the pointer": (
        *(keyboard.tab_reaches_controls, END),
        'const box = h("div", { role: "img" }); box.addEventListener("pointermove", () => {}); ui.add(box);' + END,
        "answers the mouse",
    ),
    "a box with a handler of its own": (
        *(keyboard.tab_reaches_controls, END),
        'const box = h("div", { role: "img" }); box.onpointerdown = () => {}; ui.add(box);' + END,
        "answers the mouse",
    ),
    "a trap for the focus": (
        *(keyboard.tab_reaches_controls, END),
        'ui.element.addEventListener("keydown", (event) => event.key === "Tab" && event.preventDefault());' + END,
        "Tab does not",
    ),
    "a slider whose keys JupyterLab takes": (
        *(keyboard.controls_move_by_arrows, END),
        'ui.element.querySelector("input").removeAttribute("data-lm-suppress-shortcuts");' + END,
        "JupyterLab takes them",
    ),
    "a slider deaf to keys": (
        *(keyboard.controls_move_by_arrows, END),
        'ui.element.querySelector("input").addEventListener("keydown", (event) => event.preventDefault());' + END,
        "does not move with the arrow keys: handle them",
    ),
    "a limit that Python does not have": (hosting.state_crosses, "max: 9", "max: 12", "which Python refuses"),
    "a trait that Python does not have": (
        *(hosting.state_crosses, '    ui.set("waves",'),
        '    ui.set("speed", Math.random()); ui.set("waves",',
        "sets speed",
    ),
    "a state that drawing changes": (
        hosting.state_crosses,
        END,
        'ui.set("waves", 5);' + END,
        "drawing changes the state",
    ),
    "an id that stands twice": (hosting.lives_twice, 'uniqueName("play")', '"play"', "'play' appears twice"),
    "a state shared by the module": (
        *(hosting.lives_twice, END),
        "window.all ??= []; all.push(ui);"
        'ui.on("waves", () => all.forEach((one) => one.set("waves", ui.get("waves"))));' + END,
        "moving one view changes the other",
    ),
    "bytes that only a kernel sends": (
        *(hosting.lives_without_a_kernel, 'ui.array("shifts").data'),
        'new Float32Array(ui.get("shifts").data.buffer ?? [0.5, 0.5])',
        "it looks different",
    ),
    "a picture from elsewhere": (
        *(hosting.asks_for_nothing_outside, END),
        'ui.add(h("img", { alt: "", src: "https://example.org/a.png" }));' + END,
        "https://example.org/a.png",
    ),
    "a drawing that fails": (
        hosting.asks_for_nothing_outside,
        "    ui.say(",
        "    missing();\n    ui.say(",
        "missing is not",
    ),
    "a timer that goes on": (hosting.leaves_nothing_running, END, "setInterval(() => {}, 20);" + END, "setInterval"),
    "a motion that goes on": (
        *(hosting.leaves_nothing_running, '  ui.signal.addEventListener("abort", stop);', ""),
        "requestAnimationFrame",
    ),
    "a listener on the window": (
        *(hosting.leaves_nothing_running, END),
        'window.addEventListener("resize", () => {});' + END,
        "“resize” on Window",
    ),
    "an observer that goes on": (
        *(hosting.leaves_nothing_running, END),
        "new ResizeObserver(() => {}).observe(ui.element);" + END,
        "ResizeObserver",
    ),
    "a worker that goes on": (
        *(hosting.leaves_nothing_running, END),
        'new Worker("data:text/javascript,0");' + END,
        "Worker",
    ),
    "no line that says what to try": (opening.opens_with_one_idea, "ui.invite(", "String(", "call ui.invite"),
    "three controls in sight": (
        *(opening.opens_with_one_idea, ", play);"),
        ', play, slider(ui, "waves", { label: "Again", min: 1, max: 9 }));',
        "3 controls are in sight (“Waves”, “▶”, “Again”)",
    ),
    "thousands without a comma": (
        *(opening.numbers_read_alike, "${count} waves"),
        "${count} waves of 40000 points",
        "write it as 40,000",
    ),
    "thousands with a space on a canvas": (
        *(opening.numbers_read_alike, '{ label: "x" }'),
        '{ label: "x, of 1\u202f797" }',
        "write it as 1,797",
    ),
    "no sentence": (reading.changes_are_announced, "    ui.say(", "    String(", "stays empty"),
    "a sentence that never changes": (reading.changes_are_announced, "${count} waves", "many waves", "as it was"),
    "no table": (reading.table_agrees, ", table.element", "", "“Show as table” is missing"),
    "a table of other numbers": (reading.table_agrees, "String(count)", "String(count + 0.5)", "none of the numbers"),
    "a table that is filled once": (
        *(reading.table_agrees, "    table.draw(() => ({"),
        "    table.draw(() => ({ columns: ['waves'], rows: [['4'], ['4']] }));\n    dataTable(ui, {}).draw(() => ({",
        "stays as it was",
    ),
    "an input with a wrong role": (
        reading.axe_is_content,
        END,
        'ui.add(h("div", { role: "slider" }));' + END,
        "axe reports",
    ),
    "faint text on a canvas": (sight.text_stands_out, END, END + "ui.theme.muted = '#bbb';", "faint on a light page"),
    "faint lines": (sight.lines_stand_out, END, END + "ui.theme.series = ['#ccc', '#666'];", "#cccccc"),
    "colours that look alike": (
        *(sight.colours_tell_apart, DRAWN),
        DRAWN + "    strokes(chart, ['#c24e00', '#7a6200']);",
        "look alike",
    ),
    "series told apart by colour alone": (
        *(sight.colours_tell_apart, DRAWN),
        DRAWN + "    strokes(chart, ui.theme.series);",
        "only colour",
    ),
    "a picture that never rests": (
        *(sight.reduced_motion_is_kept, END),
        "ui.add(h('b')); const run = () => { ui.element.querySelector('b').textContent = Math.random();"
        "requestAnimationFrame(run); }; run();" + END,
        "still changes",
    ),
    "a motion in spite of the reader": (
        sight.reduced_motion_is_kept,
        "ui.still ? 0 : ",
        "",
        "button “Play” starts a lasting motion",
    ),
    "an animation of CSS": (
        *(sight.reduced_motion_is_kept, END),
        "ui.element.animate([{ opacity: 0.9 }, { opacity: 1 }], { duration: 500, iterations: Infinity });" + END,
        "CSS animates",
    ),
    "a box that is too wide": (
        *(sight.page_may_be_narrow, END),
        'ui.add(h("div", { class: "wide", style: "width: 700px" }, "wide"));' + END,
        'class="wide"',
    ),
}
STROKES = """
function strokes(chart, colours) {
  const context = chart.element.querySelector("canvas").getContext("2d");
  context.lineWidth = 2;
  for (const colour of colours.slice(0, 2)) {
    context.strokeStyle = colour;
    context.stroke();
  }
}
"""


@pytest.fixture
def waves(tmp_path: Path) -> Callable[..., type[Widget]]:
    """waves(source, sentence) → a widget class with that JavaScript and that alternative text."""

    def waves(source: str = SOUND, sentence: str = "There are waves to see.") -> type[Widget]:
        (tmp_path / "waves.js").write_text(source + STROKES, encoding="utf-8")

        class Waves(Widget):
            _script = "waves.js"
            _beside = classmethod(lambda cls, file: tmp_path / file)
            waves = Int(3, min=1, max=9).tag(sync=True)
            shifts = Array("float32", ("lines",))
            alt = sentence  # type: ignore[assignment]

            @default("shifts")
            def _one_radian(self) -> list[float]:
                return [0.0, 1.0]

        return Waves

    return waves


def test_a_sound_widget_passes_every_check(waves, chromium):
    verdicts = judge(waves(), chromium)
    assert [str(verdict) for verdict in verdicts if verdict.passed is not True] == []
    assert len(verdicts) == len(CHECKS)


SLOW = "a picture that never rests"  # the check watches it for a quarter of a minute
FIRST = {check: name for name, (check, *_) in reversed(BREAKS.items()) if name != SLOW}  # one for each check


@pytest.mark.parametrize(
    "broken", [name if name in FIRST.values() else pytest.param(name, marks=pytest.mark.heavy) for name in BREAKS]
)
def test_a_check_names_what_is_broken(waves, chromium, broken):
    check, old, new, words = BREAKS[broken]
    assert old in SOUND
    (verdict,) = judge(waves(SOUND.replace(old, new, 1)), chromium, checks=(check,))
    assert verdict.passed is False
    assert words in verdict.detail


def test_an_alternative_text_that_is_no_sentence_is_named(waves, chromium):
    (verdict,) = judge(waves(sentence="waves"), chromium, checks=(reading.alternative_text_says_it,))
    assert "alt needs one sentence" in verdict.detail


def test_every_check_has_a_break():
    assert {check for check, *_ in BREAKS.values()} | {reading.alternative_text_says_it} == set(CHECKS)


def test_a_check_that_breaks_off_fails_with_the_reason(waves, chromium):
    def impatient(trial):
        raise RuntimeError("out of patience")
        yield

    (verdict,) = judge(waves(), chromium, checks=(impatient,))
    assert (verdict.name, verdict.passed) == ("impatient", False)
    assert "out of patience" in verdict.detail


@pytest.mark.parametrize(("crashes", "passed"), [(1, True), pytest.param(2, False, marks=pytest.mark.heavy)])
def test_a_check_runs_once_more_where_the_browser_crashed_under_it(waves, chromium, crashes, passed):
    runs = []

    def unlucky(trial):
        runs.append(trial)
        if len(runs) <= crashes:
            with suppress(Exception):
                trial.page.goto("chrome://crash")
            trial.kit("1")
        yield from ()

    (verdict,) = judge(waves(), chromium, checks=(unlucky,))
    assert (verdict.passed, len(runs)) == (passed, 2)
