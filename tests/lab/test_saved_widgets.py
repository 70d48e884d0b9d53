"""A saved notebook that nobody has trusted, opened with no kernel in JupyterLab and in Notebook 7: its widgets move."""

from __future__ import annotations

import base64
import copy
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from studium_widgets import AttentionHeatmap, NoiseSchedule

from .conftest import TOKEN, Lab, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

SAVED = "application/vnd.studium.widget+json"
DECLINE = """setInterval(() => {
    const buttons = [...document.querySelectorAll('.jp-Dialog button')];
    const decline = buttons.find((button) => button.textContent === 'No Kernel');
    decline?.click();
    window.declined ||= Boolean(decline);
}, 100)"""
DECLINED = "window.declined && !document.querySelector('.jp-Dialog')"
HOSTS = ["lab/tree", "notebooks"]
DIAL = {"widget": "strange_pictures/dial", "version": 1, "alt": "A dial at 3.", "state": {"turn": 3}}


def output(data: dict[str, Any]) -> Any:
    return new_code_cell("0", execution_count=1, outputs=[new_output("execute_result", data, execution_count=1)])


def write(path: Path, bundles: list[dict[str, Any]]) -> None:
    """A notebook of these outputs, for a kernel that is not there."""
    nowhere = {"kernelspec": {"name": "nowhere", "display_name": "Nowhere", "language": "python"}}
    path.write_text(json.dumps(new_notebook(cells=list(map(output, bundles)), metadata=nowhere)))


def open_without_kernel(page: Any, address: str) -> None:
    """The page once it has asked which kernel to start: until then a dialog may take the focus, and the next key."""
    page.add_init_script(DECLINE)
    page.goto(address)
    page.wait_for_function(DECLINED)
    page.locator(".jp-OutputArea-output").first.wait_for()


def attention() -> dict[str, Any]:
    return copy.deepcopy(AttentionHeatmap.example()._repr_mimebundle_()[0])


@pytest.fixture(scope="module")
def saved(lab: Lab) -> str:
    """A notebook with two of our pictures and a stranger's."""
    ours = [widget.example()._repr_mimebundle_()[0] for widget in (AttentionHeatmap, NoiseSchedule)]
    write(lab.folder / "saved.ipynb", [*ours, {SAVED: DIAL, "text/plain": "A dial at 3."}])
    return "saved.ipynb"


@pytest.mark.sample(1)
@pytest.mark.parametrize("host", HOSTS)
def test_pictures_ours_and_a_strangers_move_by_arrow_keys_in_command_mode_and_by_the_mouse(lab, page, saved, host):
    open_without_kernel(page, lab.url(f"{host}/{saved}"))
    first = page.locator(".jp-OutputArea-output").first
    slider = first.get_by_label("Temperature", exact=True)
    slider.wait_for()
    picture = first.locator("canvas").first
    before = picture.screenshot()
    focus_by_keyboard(page, "Temperature")
    assert page.evaluate("document.querySelector('.jp-Notebook').classList.contains('jp-mod-commandMode')")
    page.keyboard.press("ArrowRight")
    wait_until(page, lambda: picture.screenshot() != before)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Temperature"
    assert page.locator(".jp-Cell.jp-mod-active").count() == 1
    before = picture.screenshot()
    drag(page, slider)
    wait_until(page, lambda: picture.screenshot() != before)
    dial = page.get_by_label("Turn", exact=True)  # the stranger's
    dial.scroll_into_view_if_needed()
    dial.press("ArrowRight")
    page.locator(".st-summary", has_text="The dial is at 4.").wait_for()


@pytest.mark.heavy
@pytest.mark.parametrize("host", HOSTS)
def test_the_code_of_the_first_picture_is_there_before_the_notebook(lab, page, host):
    (lab.folder / "ein Ordner").mkdir(exist_ok=True)
    write(lab.folder / "ein Ordner" / "früh.ipynb", [{"text/plain": "3"}, {SAVED: DIAL, "text/plain": "A dial at 3."}])
    done: list[str] = []
    page.on("requestfinished", lambda request: done.append(request.url))
    open_without_kernel(page, lab.url(f"{host}/ein%20Ordner/fr%C3%BCh.ipynb"))
    page.get_by_label("Turn", exact=True).press("ArrowRight")
    picture = next(at for at, url in enumerate(done) if "/studium/widgets/strange_pictures/dial" in url)
    notebook = next(at for at, url in enumerate(done) if ".ipynb?type=notebook" in url)
    assert picture < notebook
    assert sum("/studium/widgets/" in url for url in done) == 1


def focus_by_keyboard(page: Any, label: str) -> None:
    """From the first cell in command mode, by Tab."""
    page.locator(".jp-InputPrompt").first.click()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == label:
            return
    raise AssertionError(f"60 times Tab did not reach {label}")


def drag(page: Any, slider: Any) -> None:
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, height, steps=4)
    page.mouse.up()


@pytest.mark.heavy
def test_what_a_reader_moved_is_what_the_notebook_saves(lab, page):
    write(lab.folder / "kept.ipynb", [{SAVED: DIAL, "text/plain": "A dial at 3."}])
    open_without_kernel(page, lab.url("lab/tree/kept.ipynb"))
    page.get_by_label("Turn", exact=True).press("ArrowRight")
    page.locator(".st-summary", has_text="The dial is at 4.").wait_for()
    save = page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name='save'] jp-button")

    def saved() -> bool:
        save.click()  # JupyterLab takes no second click while it saves
        page.wait_for_timeout(200)
        return kept_state(lab.folder / "kept.ipynb") == {"turn": 4}

    wait_until(page, saved)


def kept_state(path: Path) -> Any:
    """The state of the only picture in a notebook; None while the server writes the file."""
    try:
        return nbformat.read(path, 4).cells[0].outputs[0].data[SAVED]["state"]
    except nbformat.reader.NotJSONError:
        return None


def attacks() -> dict[str, Any]:
    """What a hostile notebook may hold in the place of a snapshot, by what is wrong with it."""
    good = attention()[SAVED]
    state = good["state"]
    names = [
        "../../x",
        "/etc/passwd",
        "https://example.com/x.js",
        "__proto__",
        "constructor",
        "toString/valueOf",
        7,
        None,
    ]
    unknown = [
        "studium_widgets/nothing",
        "studium_widgets/controls/slider",
        "studium_widgets/../x",
        "os/path",
        "a/b/" * 99,
    ]
    scores = state["scores"]
    nan = np.full(np.prod(scores["shape"]), np.nan, np.float32).tobytes()
    broken = {
        "text for a number": {"temperature": "<img src=x onerror='window.struck = 1'>"},
        "a number for text": {"tokens": [1, 2]},
        "an object with a length": {"tokens": {"length": 1e9}},
        "a huge shape": {"scores": scores | {"shape": [1_000_000] * 4}},
        "half the bytes": {"scores": scores | {"data": scores["data"][:400]}},
        "no base64": {"scores": scores | {"data": "</script>" * 100}},
        "NaN": {"scores": scores | {"data": base64.b64encode(nan).decode()}},
        "a type of another name": {"scores": scores | {"dtype": "constructor"}},
    }
    return {
        **{f"the name {name!r}": good | {"widget": name} for name in (*names, *unknown)},
        "a module that fails": good | {"widget": "strange_pictures/broken"},
        "no widget": {"version": 1},
        "a list": [1, 2],
        "text": "window.struck = 1",
        "no state": {key: good[key] for key in ("widget", "version", "alt")},
        "a missing array": good | {"state": {key: state[key] for key in state if key != "scores"}},
        "another version": good | {"version": 2},
        "an alternative text that is none": good | {"alt": {"toString": "window.struck = 1"}},
        **{name: good | {"state": state | change} for name, change in broken.items()},
    }


@pytest.mark.heavy
@pytest.mark.parametrize("host", HOSTS)
def test_a_hostile_notebook_shows_one_sentence_for_each_output_and_does_nothing(lab, page, host):
    hostile = attacks()
    write(lab.folder / "hostile.ipynb", [{SAVED: data, "text/plain": name} for name, data in hostile.items()])
    open_without_kernel(page, lab.url(f"{host}/hostile.ipynb"))
    sentences = {}
    for number, name in enumerate(hostile):
        place = page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output")
        place.scroll_into_view_if_needed()
        place.locator("[role=alert]").wait_for()
        sentences[name] = place.inner_text()
    wrong = {
        name: text for name, text in sentences.items() if not text.startswith("This saved picture cannot be shown:")
    }
    assert wrong == {}
    assert page.evaluate("window.struck") is None
    assert page.evaluate("Object.keys(Object.prototype)") == []


@pytest.mark.heavy
@pytest.mark.parametrize("host", HOSTS)
def test_script_in_the_words_of_a_picture_stays_text(lab, page, host):
    bundle = attention()
    words = ["<img src=x onerror='window.struck = 1'>", "</script><script>window.struck = 1</script>"]
    bundle[SAVED]["state"]["tokens"][:2] = words
    bundle[SAVED]["alt"] = words[1]
    bundle["text/html"] = f"<p>not shown</p>{words[0]}{words[1]}"
    write(lab.folder / "script.ipynb", [bundle])
    open_without_kernel(page, lab.url(f"{host}/script.ipynb"))
    page.get_by_label("Temperature", exact=True).press("ArrowRight")
    assert page.locator(f'[aria-label="{words[1]}"]').count() == 1
    assert page.get_by_text("not shown").count() == 0
    assert page.evaluate("window.struck") is None


def status(address: str, **headers: str) -> int:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return int(refused.code)


MINE = {"Authorization": f"token {TOKEN}"}


def test_the_server_gives_the_source_of_installed_widgets_and_nothing_else_to_its_user_alone(lab):
    address = f"{lab.address}/studium/widgets/"
    source = f"{address}studium_widgets/attention"
    assert [status(source), status(source, Authorization="token guessed"), status(source, **MINE)] == [403, 403, 200]
    for name in ("../../../etc/passwd", "%2e%2e/%2e%2e/x", "studium_widgets/base", "os/path", "/x", ""):
        assert status(address + name, **MINE) == 404, name


def test_the_server_names_the_first_picture_of_its_notebooks_alone_to_its_user_alone(lab, saved):
    address = f"{lab.address}/studium/first-widget/"
    assert status(address + saved) == 403
    with urllib.request.urlopen(urllib.request.Request(address + saved, headers=MINE), timeout=60) as answer:
        assert json.load(answer) == {"widget": "studium_widgets/attention"}
    for path in ("gone.ipynb", "../../../etc/passwd", "%2e%2e/log", ".ipynb_checkpoints", ""):
        assert status(address + path, **MINE) in (400, 403, 404), path
