"""What running cells leave in a notebook: progress bars that vanish, and figures whose toolbar covers nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from .conftest import run_all, save, wait_until
from .test_lessons_in_jupyterlab import move_first_slider

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

TRAINING = """
import time
from studium import track
for _ in range(3):
    for step in track(range(5), "training"):
        time.sleep(0.1)
print("trained")
"""
WIDGET = "from studium_widgets import NoiseSchedule\nNoiseSchedule()"
FIGURE = """
import plotly.graph_objects as go
from studium_widgets.plots import figure
figure(go.Scatter(x=[1, 2], y=[2, 1]), title="A finding")
"""
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def heights(page: Any) -> list[int]:
    """The heights of the outputs of the first cell."""
    return page.evaluate(
        "[...document.querySelector('.jp-Cell-outputArea').children]"
        ".filter((part) => !part.matches('.jp-OutputArea-promptOverlay')).map((part) => part.offsetHeight)"
    )


def toolbar(page: Any) -> dict[str, list[str]]:
    """The names of a figure's tools, and the grounds that they stand on."""
    return page.evaluate(
        """() => {
          const parts = (name) => [...document.querySelectorAll(`.modebar ${name}`)];
          const grounds = parts(".modebar-group").map((group) => getComputedStyle(group).backgroundColor);
          return { tools: parts(".modebar-btn").map((tool) => tool.dataset.title), grounds };
        }"""
    )


def test_a_widget_answers_a_slider_trainings_leave_no_gap_and_a_figure_has_one_tool(lab, page):
    cells = [new_code_cell(source.strip()) for source in (TRAINING, FIGURE, WIDGET)]
    (lab.folder / "training.ipynb").write_text(json.dumps(new_notebook(cells=cells, metadata=KERNEL)))
    page.goto(lab.url("lab/tree/training.ipynb"))
    run_all(page)
    page.locator(".js-plotly-plot .modebar").wait_for(state="attached")
    assert toolbar(page) == {"tools": ["Download plot as a PNG"], "grounds": ["rgba(0, 0, 0, 0)"]}
    wait_until(page, lambda: heights(page)[:3] == [0, 0, 0] and heights(page)[3] > 0)
    move_first_slider(page)
    before = heights(page)
    save(page, lab.folder / "training.ipynb", "trained\\n", "A finding")
    page.reload()
    page.locator(".jp-Cell-outputArea", has_text="trained").wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    wait_until(page, lambda: heights(page) == before)
    page.get_by_role("slider").first.wait_for()  # the kernel's widgets are there: a broken one would be too
    assert heights(page) == before
    assert page.get_by_text("model not found").count() == 0


@pytest.mark.heavy
def test_a_lesson_that_is_only_opened_counts_as_saved(lab, page):
    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    page.locator(".studium-badge").first.wait_for(state="attached")
    page.locator(".jp-Toolbar-kernelName", has_text="Python 3").wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.wait_for_timeout(2000)
    assert page.locator(".jp-mod-dirty").count() == 0
