"""A plain browser page that shows any widget from its state, with no notebook and no kernel.

    def test_something(mount):
        page = mount(AttentionHeatmap(tokens=["a", "b"], scores=...), width=400, dark=True)
        page.get_by_label("Temperature").press("ArrowRight")
        assert page.state()["temperature"] == 1.1

`mount(first, second, ...)` puts several on one page. `page.state(i)` is what view i's model holds now;
`page.frame_times(step)` times the frames in which the JavaScript `step` runs. `page.errors` holds uncaught errors and
console errors; the fixture fails the test if any are left. `call_js(module, function, *arguments)` runs a function of
a pure module.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studium_widgets import Array, Widget
from traitlets import Bool, Enum, Float, Int

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ORIGIN = "http://studium.test"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>widget</title>
<style>body {{ margin: 12px; background: {background}; }}</style><body {marks}><main></main></body></html>"""


class Gallery(Widget):
    """One of each control."""

    _script = "gallery.js"
    steps = Int(100).tag(sync=True)
    rate = Float(0.1).tag(sync=True)
    layer = Int(0).tag(sync=True)
    kind = Enum(["sine", "cosine"], "sine").tag(sync=True)
    signed = Bool(False).tag(sync=True)
    matrix = Array("float32", ("rows", "columns"))

    @property
    def alt(self) -> str:
        return f"Two waves of {self.steps} steps."


@pytest.fixture
def gallery() -> Callable[..., Gallery]:
    """gallery(**state) → a widget with one of each control."""
    values = np.random.default_rng(0).uniform(-1, 1, (12, 12))
    return lambda **state: Gallery(**({"matrix": values} | state))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("browser tests need chromium on the PATH")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=SWITCHES)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """open_page(width=900, dark=False, still=False, scale=1, marks="") → an empty page that can load our files."""
    pages: list[Any] = []

    def open_page(width: int = 900, dark: bool = False, still: bool = False, scale: float = 1, marks: str = "") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            device_scale_factor=scale,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
        )
        page = context.new_page()
        page.errors = []
        page.state = lambda view=0: state(page, view)
        page.frame_times = lambda step, frames=60: frame_times(page, step, frames)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        html = PAGE.format(background="#0f1115" if dark else "#ffffff", marks=marks)
        page.route(f"{ORIGIN}/**", lambda route: _serve(route, html))
        page.goto(f"{ORIGIN}/")
        pages.append(page)
        return page

    yield open_page
    errors = [error for page in pages for error in page.errors]
    for page in pages:
        page.context.close()
    assert errors == []


@pytest.fixture
def mount(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """mount(widget, ..., kernel=True, **page options) → the page that shows them; kernel=False: bytes as base64."""

    def mount(*widgets: Any, kernel: bool = True, **options: Any) -> Any:
        page = open_page(**options)
        page.add_script_tag(content=(HERE / "fake_model.js").read_text(encoding="utf-8"))
        for widget in widgets:
            shot = widget.snapshot()
            state = shot["state"] | {"_alt": shot["alt"]}
            view = {"esm": widget._esm, "css": widget._css, "state": state, "kernel": kernel}
            page.evaluate("view => window.mountWidget(view)", view)
        return page

    return mount


@pytest.fixture
def call_js(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """call_js("widgets/studium_widgets/controls/ticks.js", "ticks", 0, 1) → what the function returns.

    The path starts at the repository's root. Arrays go in as Float64Array and come out as lists.
    """
    page = open_page()

    def call_js(module: str, function: str, *arguments: Any) -> Any:
        sent = [_for_js(argument) for argument in arguments]
        return page.evaluate(CALL, [f"{ORIGIN}/{module}", function, sent])

    return call_js


CALL = """async ([url, name, sent]) => {
  const module = await import(url);
  const fields = (value) => Object.fromEntries(Object.entries(value).map(([key, item]) => [key, back(item)]));
  const back = (value) => {
    if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, back);
    return value && typeof value === "object" ? fields(value) : value;
  };
  return back(module[name](...sent.map((item) => (item?.array ? Float64Array.from(item.array) : item))));
}"""


def state(page: Any, view: int = 0) -> dict[str, Any]:
    """The state that the view's model holds now."""
    return page.evaluate("i => JSON.parse(JSON.stringify(window.views[i].model.state))", view)


def frame_times(page: Any, step: str, frames: int = 60) -> list[float]:
    """Milliseconds between frames while the JavaScript `step` (an expression of the frame number `n`) runs in each."""
    return page.evaluate(
        """([step, frames]) => new Promise((done) => {
          const run = new Function("n", step);
          const times = [];
          let last = performance.now();
          const tick = (now) => {
            times.push(now - last);
            last = now;
            if (times.length > frames) return done(times.slice(1));
            run(times.length);
            requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
        })""",
        [step, frames],
    )


def _for_js(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    return {"array": value.ravel().tolist()} if isinstance(value, np.ndarray) else value


def _serve(route: Any, html: str) -> None:
    path = ROOT / route.request.url.removeprefix(f"{ORIGIN}/")
    if path == ROOT or not path.suffix:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")
    elif path.suffix == ".ico":
        route.fulfill(status=204)
    else:
        route.fulfill(path=path, content_type="text/javascript; charset=utf-8")
