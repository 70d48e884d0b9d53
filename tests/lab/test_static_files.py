"""The server's own files: one server serves JupyterLab and Notebook, and both have fonts of the same names."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import notebook
import pytest
from jupyterlab.commands import get_app_dir

pytestmark = pytest.mark.xdist_group("jupyterlab")

HALVES = {"lab": Path(get_app_dir()) / "static", "notebook": Path(notebook.__file__).parent / "static"}


def status(lab, half, name):
    try:
        with urllib.request.urlopen(f"{lab.address}/static/{half}/{name}", timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("first", HALVES)
def test_a_font_that_lab_and_notebook_both_ship_is_served_to_both_whichever_asks_first(lab, first):
    names = [{path.name for path in folder.glob("*.woff")} for folder in HALVES.values()]
    font = sorted(names[0] & names[1])[list(HALVES).index(first)]  # one of its own for each order
    order = sorted(HALVES, key=lambda half: half != first)
    assert {half: status(lab, half, font) for half in order} == {"lab": 200, "notebook": 200}
