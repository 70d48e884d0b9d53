"""The names of lines: beside them where there is room for all, in a legend where there is not."""

from __future__ import annotations

import numpy as np
import pytest
from studium_widgets import Chart

pytestmark = pytest.mark.browser
X = np.linspace(0, 1, 50)


def chart(*lines, names=("rising", "falling")):
    return Chart(x=X, y=list(lines), names=list(names), x_label="x", y_label="y")


@pytest.mark.heavy
def test_lines_that_are_apart_have_their_names_beside_them_and_no_legend(mount):
    page = mount(chart(X, 1 - X))
    page.drawn()
    assert page.locator(".st-legend li").count() == 0


def test_lines_that_leave_no_room_have_a_legend(mount):
    waves = [np.sin(40 * X + phase) for phase in (0, 2, 4)]
    names = ["a wave with a long name", "another wave with a long name", "a third wave with a long name"]
    page = mount(chart(*waves, names=names), width=360)
    page.locator(".st-legend li").first.wait_for()
    assert page.locator(".st-legend li").all_inner_texts() == names


@pytest.mark.heavy
def test_names_lie_on_no_line_and_on_no_other_name(mount):
    page = mount(width=900)
    written = page.evaluate(WRITTEN)
    assert [name for name, *_ in written] == ["rising", "falling"]
    for name, x, y in written:
        assert abs(y - LINES[name](x)) > 10
        assert abs(y - LINES[({"rising", "falling"} - {name}).pop()](x)) > 10
    (_, x1, y1), (_, x2, y2) = written
    assert abs(x1 - x2) > 40 or abs(y1 - y2) >= 13


LINES = {"rising": lambda x: 200 - x / 2, "falling": lambda x: x / 2}  # px, on a plane of 400 x 200
WRITTEN = """async () => {
  const { nameLines } = await import("studium_widgets/controls/line_names.js");
  const context = document.createElement("canvas").getContext("2d");
  const written = [];
  context.fillText = (text, x, y) => written.push([text, x, y]);
  const axes = { x: { ends: [0, 400], place: (x) => x }, y: { ends: [200, 0], place: (y) => y } };
  const x = Array.from({ length: 41 }, (_, i) => 10 * i);
  const series = [{ name: "rising", y: x.map((at) => 200 - at / 2) }, { name: "falling", y: x.map((at) => at / 2) }];
  nameLines(context, { series, x }, axes, { text: "#000" }, new Map());
  return written;
}"""
