"""A page that starts again is like a new one."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from studium_widgets.conformance import pages

pytestmark = pytest.mark.browser

SPOIL = """() => {
  Object.assign(window, { mine: 1 });
  localStorage.mine = sessionStorage.mine = 1;
  document.cookie = "mine=1";
  document.body.append(Object.assign(document.createElement("div"), { style: "height: 5000px" }));
  scrollTo(0, 3000);
  setInterval(() => console.error("from before"), 1);
}"""
LOOK = """() => ({
  mine: [window.mine, localStorage.mine, sessionStorage.mine, document.cookie],
  reader: ["dark", "light"].filter((scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches),
  still: matchMedia("(prefers-reduced-motion: reduce)").matches,
  printed: matchMedia("print").matches,
  size: [innerWidth, scrollY, document.querySelector("main").childElementCount],
  marks: document.body.getAttributeNames(),
  background: getComputedStyle(document.body).backgroundColor,
})"""


def test_nothing_of_what_was_in_it_stays(open_page, tmp_path: Path) -> None:
    fresh = open_page().evaluate(LOOK)
    page = open_page(width=400, dark=True, still=True, marks="data-mine='1'")
    assert page.evaluate(LOOK) != fresh
    page.evaluate(SPOIL)
    page.emulate_media(media="print")
    page.route("**/*", lambda route: route.abort())
    page.mouse.move(30, 30)
    page.mouse.down()
    page.wait_for_timeout(20)
    assert page.errors
    pages.start_again(page, tmp_path)
    assert page.evaluate(LOOK) == fresh
    page.evaluate("document.body.style.height = '5000px'")
    page.wait_for_timeout(50)
    assert page.evaluate("scrollY") == 0
    assert page.errors == page.outside == []
    assert page.evaluate("document.querySelectorAll(':hover, :active').length") == 0


def test_a_page_that_is_left_is_lent_again_and_one_that_is_closed_is_not(chromium, tmp_path: Path) -> None:
    free: dict[float, list] = defaultdict(list)
    with pages.lent(chromium, tmp_path, free) as open_page:
        first = open_page()
        assert open_page() is not first
    with pages.lent(chromium, tmp_path, free) as open_page:
        left, other = open_page(), open_page(scale=2)
        assert [page.evaluate("devicePixelRatio") for page in (left, other)] == [1, 2]
        left.context.close()
    assert [len(free[scale]) for scale in (1, 2)] == [1, 1]
    for page in (*free[1], *free[2]):
        page.context.close()


def test_errors_that_are_left_in_a_page_fail_once(chromium, tmp_path: Path) -> None:
    free: dict[float, list] = defaultdict(list)
    with (
        pytest.raises(AssertionError, match="has errors left"),
        pages.lent(chromium, tmp_path, free) as open_page,
    ):
        open_page().evaluate("console.error('wrong')")
    with pages.lent(chromium, tmp_path, free) as open_page:
        open_page()
    free[1][0].context.close()
