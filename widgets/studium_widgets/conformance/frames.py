"""Frame times of a widget at its largest size, while each of its sliders and pictures is dragged.

On a busy machine other processes delay frames; the CPU time of the page's own thread shows how long its work takes.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from studium_widgets.base import Widget
from studium_widgets.conformance import pages
from studium_widgets.conformance.verdicts import Verdict

__all__ = ["MEDIAN", "P95", "drags", "measure"]

MEDIAN, P95 = 17.2, 25.0  # ms: one frame of a screen of 60 Hz, with the clock's resolution; and half a frame more
SETTLING = 1500  # ms: let whatever starts in the background finish first
FRAMES = 90  # one and a half times over the slider's range and back
NAME = "(element) => (element.ariaLabel ?? element.labels[0].innerText).trim()"
# A step in every frame, which a mouse's own moves cannot promise.
SLIDE = """(input, frames) => new Promise((done) => {
  const times = [];
  let last = performance.now();
  const tick = (now) => {
    times.push(now - last);
    last = now;
    if (times.length > frames) return done(times.slice(1));
    const share = (1 - Math.cos((times.length % 60) / 60 * 2 * Math.PI)) / 2;
    input.value = Number(input.min) + share * (input.max - input.min);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})"""
# From each frame in which the mouse moved to the next.
WATCH = """(picture) => {
  const watch = { times: [] };
  let [last, moved] = [0, false];
  picture.addEventListener("pointermove", () => (watch.moved = true));
  const tick = (now) => {
    if (moved) watch.times.push(now - last);
    [last, moved, watch.moved] = [now, watch.moved, false];
    watch.next = requestAnimationFrame(tick);
  };
  watch.next = requestAnimationFrame(tick);
  return watch;
}"""
WATCHED = "(watch) => (cancelAnimationFrame(watch.next), watch.times)"
TRACED = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]


def measure(widget: Widget, browser: Any, **page_options: Any) -> list[Verdict]:
    """Return a verdict for each slider and picture of the widget, on a page of its own."""
    page = pages.open_page(browser, Path(__file__).parent, **page_options)
    pages.mount(page, [widget])
    verdicts = list(drags(page.locator("main")))
    page.context.close()
    return verdicts


def drags(view: Any) -> Iterator[Verdict]:
    """Median frame, the time below which 95 % of them are, and the work in each, in ms, for everything that can be
    dragged.

    view: a playwright Locator of the element that contains the widget, in any host. A slider goes over its range and
    back, one step a frame; the mouse goes over a picture with its button down.
    """
    page = view.page
    page.wait_for_timeout(SETTLING)
    sliders = view.locator("input[type=range]:enabled").filter(visible=True)
    pictures = view.locator("canvas[tabindex]").filter(visible=True)
    for found, drag in ((sliders, _slide), (pictures, _draw)):
        for one in found.all():
            one.scroll_into_view_if_needed()
            yield _dragged(page, one, drag)


def _slide(_page: Any, slider: Any) -> list[float]:
    return slider.evaluate(SLIDE, FRAMES)  # type: ignore[no-any-return]


def _draw(page: Any, picture: Any) -> list[float]:
    box = picture.bounding_box()
    middle = box["y"] + box["height"] / 2

    def move(step: int) -> None:
        angle = 2 * math.pi * step / 60
        page.mouse.move(
            box["x"] + box["width"] * (1 - 0.9 * math.cos(angle)) / 2, middle + 0.3 * box["height"] * math.sin(angle)
        )

    move(0)
    page.mouse.down()
    watch = picture.evaluate_handle(WATCH)
    for step in range(FRAMES):
        move(step)
    times = watch.evaluate(WATCHED)
    page.mouse.up()
    return times  # type: ignore[no-any-return]


def _dragged(page: Any, element: Any, drag: Any) -> Verdict:
    browser = page.context.browser
    browser.start_tracing(page=page, categories=TRACED)
    times = drag(page, element)
    work = _work(json.loads(browser.stop_tracing())["traceEvents"])
    page.wait_for_timeout(SETTLING / 3)
    median, p95 = statistics.median(times), _p95(times)
    detail = (
        f"median {median:.1f} ms, 95 % below {p95:.1f} ms while “{element.evaluate(NAME)}” is dragged; "
        f"work in a frame: median {statistics.median(work):.1f} ms, 95 % below {_p95(work):.1f} ms"
    )
    return Verdict("frames keep up", median <= MEDIAN and p95 <= P95, detail)


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def _work(events: list[dict[str, Any]]) -> list[float]:
    """CPU time of the page's main thread from the start of each animation frame to the next, in ms."""
    drawing = [event for event in events if event["name"] == "FireAnimationFrame"]
    thread = {(event["pid"], event["tid"]) for event in drawing}
    tasks = [event for event in events if event["name"] == "RunTask" and (event["pid"], event["tid"]) in thread]
    tasks.sort(key=lambda task: task["ts"])
    begins = [task["ts"] for task in tasks]
    frames = sorted({bisect.bisect_right(begins, event["ts"]) - 1 for event in drawing})
    return [sum(task.get("tdur", 0) for task in tasks[a:b]) / 1000 for a, b in itertools.pairwise(frames)]
