"""The pytest plugin `studium-widgets`: fixtures with which widgets are tested in Chromium. Nothing loads until used.

    def test_the_widget_conforms(conforms):
        conforms(AttentionHeatmap)

    def test_the_temperature_moves(mount):
        page = mount(AttentionHeatmap.example(), width=400, dark=True)
        page.get_by_label("Temperature").press("ArrowRight")
        assert page.state()["temperature"] == 1.1

A test that asks for one of them is skipped, with a sentence, where playwright or Chromium is missing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

__all__ = ["call_js", "chromium", "conforms", "mount", "open_page"]


@pytest.fixture(scope="session")
def _launched_chromium() -> Iterator[tuple[Any, asyncio.AbstractEventLoop]]:
    from studium_widgets.conformance.browser import UnavailableError, launched

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(launched())
        except UnavailableError as missing:
            pytest.skip(str(missing))
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield browser, loop
        asyncio._set_running_loop(loop)


@pytest.fixture
def chromium(_launched_chromium: tuple[Any, asyncio.AbstractEventLoop]) -> Iterator[Any]:
    """A playwright Browser, one for the whole session."""
    browser, loop = _launched_chromium
    # Playwright leaves its event loop marked as running, which breaks asyncio.run in every later test.
    asyncio._set_running_loop(loop)
    yield browser
    asyncio._set_running_loop(None)


@pytest.fixture(scope="session")
def _free_pages() -> dict[float, list[Any]]:
    """The pages that earlier tests left, by their scale: a new one costs Chromium another process."""
    return defaultdict(list)


@pytest.fixture
def open_page(
    chromium: Any, pytestconfig: pytest.Config, _free_pages: dict[float, list[Any]]
) -> Iterator[Callable[..., Any]]:
    """open_page(width=900, dark=False, still=False, scale=1, marks="") → an empty page that can load our files.

    It may be a page that another test has left, with nothing of its contents. The test fails if errors are left in the
    `errors` of a page.
    """
    from studium_widgets.conformance import pages

    with pages.lent(chromium, pytestconfig.rootpath, _free_pages) as open_page:
        yield open_page


@pytest.fixture
def mount(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """mount(widget, ..., kernel=True, more=True, plays=False, **page options) → the page that shows them.

    kernel=False: in the host without a kernel. more=False: with *More* closed, as a reader first sees it. plays=True:
    what moves once on its own is left to do so.
    """
    from studium_widgets.conformance import pages

    def mount(*widgets: Any, kernel: bool = True, more: bool = True, plays: bool = False, **options: Any) -> Any:
        page = open_page(**options)
        pages.mount(page, widgets, kernel=kernel, more=more, plays=plays)
        return page

    return mount


@pytest.fixture(scope="session")
def _pages_for_calls() -> list[Any]:
    return []


@pytest.fixture
def call_js(chromium: Any, pytestconfig: pytest.Config, _pages_for_calls: list[Any]) -> Iterator[Callable[..., Any]]:
    """call_js("my_topic/rank_maths.js", "spectrum", array) → what the function returns.

    The path starts at pytest's root folder. Arrays go in as Float64Array and come out as lists. All tests share one
    page, so whatever a module stores stays there.
    """
    from studium_widgets.conformance import pages

    if not _pages_for_calls:  # the first time, or after the last one crashed
        _pages_for_calls.append(pages.open_page(chromium, pytestconfig.rootpath))
        _pages_for_calls[0].on("crash", lambda _: _pages_for_calls.clear())
    page = _pages_for_calls[0]
    yield lambda module, function, *arguments: pages.call(page, module, function, *arguments)
    errors, page.errors[:] = list(page.errors), []
    assert errors == []


@pytest.fixture
def conforms(chromium: Any) -> Callable[..., None]:
    """conforms(WidgetClass) fails with every problem that the checks find, and what to do about each."""
    from studium_widgets.conformance.verdicts import judge

    def conforms(widget_class: Any) -> None:
        __tracebackhide__ = True
        verdicts = judge(widget_class, chromium)
        failed = [verdict for verdict in verdicts if verdict.passed is False]
        if failed:
            told = "\n".join(map(str, failed))
            pytest.fail(
                f"{widget_class.__name__} fails {len(failed)} of {len(verdicts)} checks:\n{told}", pytrace=False
            )
        if missing := [verdict for verdict in verdicts if verdict.passed is None]:
            pytest.skip("\n".join(map(str, missing)))

    return conforms
