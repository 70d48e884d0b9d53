"""Plain browser pages that show widgets from their state, without a notebook and a kernel.

A page is a playwright Page with four additions: `errors` (uncaught errors and console errors), `outside` (addresses
that the page requested beyond its own files), `state(view)`, and `drawn()`, which waits until the pictures show it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["call", "lent", "mount", "open_page", "start_again"]

HERE = Path(__file__).parent
ORIGIN = "http://studium.test"
SHARED = f"{ORIGIN}/@shared/"  # studium_widgets, wherever it is installed
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>widget</title>
<script type="importmap">{imports}</script>
<style>body {{ margin: 12px; background: {background}; }}</style><body {marks}><main></main></body></html>"""
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".json": "application/json"}

LEAVE = "scrollTo(0, 0), localStorage.clear(), sessionStorage.clear()"
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"  # the second: for new sizes
TOUCH = "document.querySelectorAll('.studium').forEach((view) => view.dispatchEvent(new Event('pointerdown')))"
CALL = """async ([url, name, sent]) => {
  const module = await import(url);
  const fields = (value) => Object.fromEntries(Object.entries(value).map(([key, item]) => [key, back(item)]));
  const back = (value) => {
    if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, back);
    return value && typeof value === "object" ? fields(value) : value;
  };
  return back(module[name](...sent.map((item) => (item?.array ? Float64Array.from(item.array) : item))));
}"""


def open_page(
    browser: Any,
    root: Path,
    *,
    width: int = 900,
    dark: bool = False,
    still: bool = False,
    scale: float = 1,
    marks: str = "",
    scripts: Iterable[str] = (),
) -> Any:
    """Return an empty page, `width` CSS pixels wide, that can load the files below `root` and those of studium_widgets.

    dark, still: what the reader's system prefers. scale: device pixels per CSS pixel. marks: attributes of the body.
    scripts: JavaScript that runs before anything else.
    """
    page = browser.new_context(device_scale_factor=scale).new_page()
    page.errors, page.outside = [], []
    page.state = lambda view=0: page.evaluate("i => JSON.parse(JSON.stringify(window.views[i].model.state))", view)
    page.drawn = lambda: page.evaluate(DRAWN)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    for script in ((HERE / "host.js").read_text(encoding="utf-8"), *scripts):
        page.add_init_script(script)
    _show(page, root, width, dark=dark, still=still, marks=marks)
    return page


def start_again(
    page: Any, root: Path, *, width: int = 900, dark: bool = False, still: bool = False, marks: str = ""
) -> None:
    """Make a page as empty as a new one, which takes half the time of opening another."""
    page.mouse.up()
    page.mouse.move(0, 0)
    page.evaluate(LEAVE)
    page.context.clear_cookies()
    page.unroute_all()
    _show(page, root, width, dark=dark, still=still, marks=marks)
    page.errors, page.outside = [], []  # whatever came from the previous page is in the old lists


def _show(page: Any, root: Path, width: int, *, dark: bool, still: bool, marks: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(
        media="null",
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce" if still else "no-preference",
    )
    imports = json.dumps({"imports": {"studium_widgets/": SHARED}})
    html = PAGE.format(imports=imports, background="#0f1115" if dark else "#ffffff", marks=marks)
    page.route("**/*", lambda route: _serve(route, root, html, page.outside))
    page.goto(f"{ORIGIN}/")


@contextmanager
def lent(browser: Any, root: Path, free: dict[float, list[Any]]) -> Iterator[Callable[..., Any]]:
    """Yield `open_page` without scripts, which reuses one of the `free` pages with the same scale if there is one.

    At the end the pages are free again. Raises AssertionError if one of them has errors left.
    """
    from playwright.sync_api import Error

    opened: list[tuple[float, Any]] = []

    def open_or_start_again(*, scale: float = 1, **options: Any) -> Any:
        if free[scale]:
            page = free[scale].pop()
            start_again(page, root, **options)
        else:
            page = open_page(browser, root, scale=scale, **options)
        opened.append((scale, page))
        return page

    yield open_or_start_again
    errors = [error for _, page in opened for error in page.errors]
    for scale, page in opened:
        with suppress(Error):  # it has crashed, or was closed
            start_again(page, root)  # nothing runs in it
            free[scale].append(page)
    if errors:
        raise AssertionError(f"a page has errors left: {errors}")


def mount(page: Any, widgets: Iterable[Any], *, kernel: bool = True, more: bool = True, plays: bool = False) -> None:
    """Add a view of each widget to the page, as a notebook with a kernel does, or as a host without one.

    *More* is opened, so all controls are there, unless `more` is false. Anything that plays on its own is stopped as if
    touched, so the picture shows the state, unless `plays` is true.
    """
    for widget in widgets:
        shot = widget.snapshot()
        if kernel:
            view = {"source": widget._esm, "state": shot["state"] | {"_alt": shot["alt"], "_caption": widget._caption}}
            page.evaluate("view => window.mountWidget(view)", view)
        else:
            page.evaluate("view => window.mountSaved(view)", {"source": widget.module(), "snapshot": shot})
    if not plays:
        page.evaluate(TOUCH)
    if more:
        page.evaluate("document.querySelectorAll('details.st-more').forEach((more) => (more.open = true))")


def call(page: Any, module: str, function: str, *arguments: Any) -> Any:
    """Return the result of a function in a JavaScript module; `module` is a path below the page's root."""
    sent = [{"array": plain.ravel().tolist()} if hasattr(plain, "ravel") else plain for plain in map(_numpy, arguments)]
    return page.evaluate(CALL, [f"{ORIGIN}/{module}", function, sent])


def _numpy(value: Any) -> Any:
    return value.detach().numpy() if hasattr(value, "detach") else value


def _serve(route: Any, root: Path, html: str, outside: list[str]) -> None:
    address = route.request.url
    path = _file(address, root)
    if not address.startswith(f"{ORIGIN}/"):
        outside.append(address)
        route.abort()
    elif path == root:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")
    elif path.suffix in TYPES and path.is_file():
        route.fulfill(path=path, content_type=f"{TYPES[path.suffix]}; charset=utf-8")
    else:
        route.fulfill(status=204 if path.name == "favicon.ico" else 404)


def _file(address: str, root: Path) -> Path:
    if address.startswith(SHARED):
        return HERE.parent / address.removeprefix(SHARED)
    return root / address.removeprefix(f"{ORIGIN}/")
