"""What a student writes into a notebook does nothing on the page on which formgrader shows it."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")

from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from nbformat import reads
from nbformat.v4 import new_markdown_cell, new_notebook
from nbgrader.server_extensions.formgrader import handlers
from studium.catalogue.catalogue import load_catalogue
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
)
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.results.autograded import autograded_files
from studium_graders.results.mistakes import Sentences
from studium_graders.results.safe_markdown import inert

from ..redteam.pages import active_content

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
STRIKE = "window.struck=1"
PAGE = base64.b64encode(f"<script>parent.{STRIKE}</script>".encode()).decode()
HOSTILE = (
    f"<img src=x onerror='{STRIKE}'>",
    f"<script>{STRIKE}</script>",
    f"<svg/onload={STRIKE}>",
    f"<iframe srcdoc='<script>parent.{STRIKE}</script>'></iframe>",
    f"<b onclick='{STRIKE}'>bold</b>",
    f"<a href='javascript:{STRIKE}'>a link</a>",
    f"<!--><img src=x onerror='{STRIKE}'>-->",
    f"$$<img src=x onerror='{STRIKE}'>$$",
    f"```mermaid\n<img src=x onerror='{STRIKE}'>\n```",
    f"[a link](javascript:{STRIKE})",
    f"[a link]( \n javascript:{STRIKE})",
    f"[a link](java&#115;cript:{STRIKE})",
    f"[a link](<javascript:{STRIKE}>)",
    f"<javascript:{STRIKE}>",
    f"[a link][to]\n\n> [to]:\n> javascript:{STRIKE}",
    f"![an image](javascript:{STRIKE})",
    f"[a link](data:text/html;base64,{PAGE})",
)
FRAGMENTS = (
    *HOSTILE,
    *"[]()<>!`\"'\\$|:#*_~^&\n\t\r\0",
    *("](", "]:", "![", "```", "> ", "- ", "    ", "--|--", "$$", "<!--", "-->", "</", "<b>", "&lt;", "&colon;", "x y"),
    *("javascript:x", "data:text/html,x", "img src=x onerror=x>", "attachment:x", "https://x", "\\begin{a}", "\u2028"),
)


def page_of(*cells: dict[str, Any], own: tuple[Cell, ...] = ()) -> str:
    """Formgrader's page of a notebook that somebody handed in with these cells."""
    document = json.dumps(new_notebook(cells=list(cells))).encode()
    submission = CanonicalSubmission("ann", (CanonicalNotebook("p", (), document),))
    material = Material("ps1", (NotebookMaterial("p", own, b"{}"),))
    result = SubmissionResult("ann", "L2", 1.0, [])
    files = autograded_files(submission, result, material, Sentences(load_catalogue()))
    return shown(reads(files["p.ipynb"].decode(), as_version=4))


def shown(notebook: Any) -> str:
    names = ("assignment_id", "notebook_id", "submission_id", "base_url", "student", "last_name", "notebook_path")
    resources = dict.fromkeys(names, "x") | {"index": 0, "total": 1}
    exporter = HTMLExporter(template_name="formgrade", extra_template_basedirs=[handlers.template_path])
    return str(exporter.from_notebook_node(notebook, resources=resources)[0])


def text_of(page: str) -> str:
    return page.partition('id="notebook-container"')[2]


@pytest.fixture
def visit(chromium: Any, tmp_path: Path) -> Callable[[str], list[str]]:
    """visit(html) → what the page did while it was open and each of its links was followed."""

    def look(html: str) -> list[str]:
        file = tmp_path / "page.html"
        file.write_text(html, "utf-8")
        page, did = chromium.new_page(), []
        page.on("dialog", lambda dialog: did.append("a dialog"))
        page.route("http*://**", lambda route: route.abort())
        page.goto(file.as_uri(), wait_until="load")
        for link in page.query_selector_all("#notebook-container a:not(.anchor-link), #notebook-container b"):
            link.dispatch_event("click")
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        page.wait_for_timeout(200)
        did += ["a script ran"] if page.evaluate("window.struck === 1") else []
        page.close()
        return did

    return look


@pytest.mark.browser
def test_hostile_text_does_nothing_on_formgraders_page(visit: Callable) -> None:
    assert visit(page_of(*map(new_markdown_cell, HOSTILE))) == []


@pytest.mark.browser
def test_the_same_text_as_it_was_handed_in_runs_there(visit: Callable) -> None:
    assert visit(shown(new_notebook(cells=[new_markdown_cell(HOSTILE[0])]))) == ["a script ran"]
    assert visit(shown(new_notebook(cells=[new_markdown_cell(HOSTILE[9])]))) == ["a script ran"]


def test_no_part_of_the_page_can_run() -> None:
    assert active_content(text_of(page_of(*map(new_markdown_cell, HOSTILE)))) == []


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
@settings(max_examples=100)
def test_no_text_is_active_once_it_is_inert(source: str) -> None:
    assert active_content(markdown2html_mistune(inert(source))) == []


HONEST = (
    "a **bold** word, H<sub>2</sub>O, `code`, $a < b$ and a list:\n\n- one\n- two",
    "[the paper](https://arxiv.org/abs/2106.09685), [my file](figures/loss.png#x), <b>bold</b>",
    "![my figure](figures/loss.png) [part](#part) [mail](mailto:ann@example.org)",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "```python\nfor i in range(3):\n    print(i)\n```",
)


def test_honest_text_stays_as_it_is_and_what_is_taken_apart_can_still_be_read() -> None:
    assert tuple(map(inert, HONEST)) == HONEST
    assert inert("a<b and vector<int>: <img src=x>") == "a< b and vector< int>: < img src=x>"


def test_an_image_from_elsewhere_is_not_loaded() -> None:
    targets = ("https://example.org/seen.png", "//example.org/a.png", "/hub/logout", "../a.png")
    cells = [new_markdown_cell(f"![seen]({target})") for target in targets]
    assert "<img" not in text_of(page_of(*cells))


def test_an_attached_image_is_shown_and_one_that_nbconvert_does_not_find_does_not_end_the_page() -> None:
    attached = {"plot.png": "plot.png", "gone.png": "plot.png", "my plot.png": "my%20plot.png", "ä.png": "ä.png"}
    for name, written in attached.items():
        cell = new_markdown_cell(f"![my plot](attachment:{written})", attachments={name: {"image/png": PNG}})
        page = text_of(page_of(cell))
        assert "my plot" in page
        assert (f"data:image/png;base64,{PNG}" in page) == (name == "plot.png")


def test_the_assignments_own_text_keeps_its_tags_until_a_student_changes_it() -> None:
    own = '<details><summary>More</summary>text</details> <a name="here"></a>'
    cell = Cell("task", "text", own, locked=False)
    as_released, changed = (new_markdown_cell(source, id="task") for source in (own, f"{own}!"))
    assert "<summary>More" in text_of(page_of(as_released, own=(cell,)))
    assert "<summary>More" not in text_of(page_of(changed, own=(cell,)))
