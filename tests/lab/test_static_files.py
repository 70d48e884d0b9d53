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


def test_a_font_that_lab_and_notebook_both_ship_is_served_to_both_whichever_asks_first(lab):
    names = [{path.name for path in folder.glob("*.woff")} for folder in HALVES.values()]
    first, second = sorted(names[0] & names[1])[:2]  # one for each order
    assert [status(lab, half, first) for half in ("lab", "notebook")] == [200, 200]
    assert [status(lab, half, second) for half in ("notebook", "lab")] == [200, 200]
