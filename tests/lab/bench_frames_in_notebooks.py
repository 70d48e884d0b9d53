"""Frame times of every widget at its largest size in notebooks, live and without a kernel; judges nothing."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from studium_widgets.conformance.frames import drags

from tests.lab.conftest import TOKEN, Lab, run_all
from tests.lab.test_saved_widgets import SAVED, open_without_kernel, write
from tests.widgets.conformance.every_widget import largest_sizes, run

HERE = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture
def no_kernel_is_left(lab: Lab) -> Iterator[None]:
    yield
    for session in json.loads(_ask(lab, "GET", "")):
        _ask(lab, "DELETE", f"/{session['id']}")


def _ask(lab: Lab, method: str, path: str) -> bytes:
    address, headers = f"{lab.address}/api/sessions{path}", {"Authorization": f"token {TOKEN}"}
    with urllib.request.urlopen(urllib.request.Request(address, method=method, headers=headers)) as answer:
        return bytes(answer.read())


def show_live(lab: Lab, page: Any, cell: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(cell)], metadata=HERE)
    Path(lab.folder, "live.ipynb").write_text(json.dumps(notebook))
    page.goto(lab.url("lab/tree/live.ipynb"))
    run_all(page)


def show_saved(lab: Lab, page: Any, cell: str, host: str) -> None:
    bundle = run(cell)._repr_mimebundle_()[0]
    write(lab.folder / "bench.ipynb", [{SAVED: bundle[SAVED], "text/plain": bundle["text/plain"]}])
    open_without_kernel(page, lab.url(f"{host}/bench.ipynb"))


HOSTS = {
    "live in JupyterLab": show_live,
    "saved in JupyterLab": lambda lab, page, cell: show_saved(lab, page, cell, "lab/tree"),
    "saved in Notebook 7": lambda lab, page, cell: show_saved(lab, page, cell, "notebooks"),
}


@pytest.mark.usefixtures("no_kernel_is_left")
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("case", largest_sizes())
def test_frame_times_in_notebooks(lab, page, case, host):
    HOSTS[host](lab, page, largest_sizes()[case])
    view = page.locator(".jp-OutputArea-output .studium")
    view.wait_for()
    print()
    for verdict in drags(view):
        print(f"{case}, {host}: {verdict.detail}")
