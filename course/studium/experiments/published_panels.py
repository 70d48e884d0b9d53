"""Our numbers and a paper's side by side: two small dot plots, each with its own axis and unit."""

import math
from collections.abc import Mapping
from html import escape

from studium.topics.published import BesidePaper

HUES = ("#1398e5", "#e86717", "#2a8970", "#c965ae", "#71632b", "#6353c4")  # the hues of the widgets, in their order


def panels(found: BesidePaper) -> str:
    """Return both plots as HTML, side by side or, in a narrow column, one below the other, and what they show."""
    ours = _panel(f"Here: {found.our_unit}", found.ours, _decimals(found.ours))
    theirs = _panel(f"{found.source}: {found.unit}", found.values, _printed(found.values))
    return (
        f'<div style="margin:.5em 0 .9em 1.6em"><div style="display:flex;flex-wrap:wrap;gap:.7em 2.4em">{ours}{theirs}'
        f'</div><div style="margin-top:.4em;font-size:.9em">{escape(found.seen)}</div></div>'
    )


def as_lines(found: BesidePaper) -> list[str]:
    """Return the same as lines of text, for use without HTML."""
    numbers = (f"  {name}: {ours} here, {theirs} in the paper" for name, ours, theirs in rows(found))
    head = f"  here: {found.our_unit}; {found.source}: {found.unit}"
    return [head, *numbers, f"  {found.seen}"]


def rows(found: BesidePaper) -> list[tuple[str, str, str]]:
    """Return what is compared, our number and the paper's, formatted for display."""
    ours, theirs = _decimals(found.ours), _printed(found.values)
    return [(name, f"{found.ours[name]:.{ours}f}", f"{value:.{theirs}f}") for name, value in found.values.items()]


def _panel(title: str, numbers: Mapping[str, float], decimals: int) -> str:
    """Return one plot. A screen reader reads all of it as one sentence."""
    shown = {name: f"{value:.{decimals}f}" for name, value in numbers.items()}
    low, high = _ends(numbers)
    heard = escape(f"{title}. {'; '.join(f'{name}: {value}' for name, value in shown.items())}.")
    lines = (
        f"<span>{escape(name)}</span>{_track((numbers[name] - low) / (high - low), HUES[place % len(HUES)])}"
        f'<span style="text-align:right">{value}</span>'
        for place, (name, value) in enumerate(shown.items())
    )
    ends = f"<span>{low:g}</span><span>{high:g}</span>"
    axis = f'<span style="display:flex;justify-content:space-between;opacity:.8">{ends}</span>'
    columns = "grid-template-columns:fit-content(50%) minmax(60px,1fr) max-content"
    return (
        f'<div role="img" aria-label="{heard}" style="flex:1 1 250px;min-width:0;max-width:28em;font-size:.9em">'
        f'<div style="font-weight:600;margin-bottom:.2em">{escape(title)}</div>'
        f'<div style="display:grid;align-items:center;gap:.1em .7em;{columns}">{"".join(lines)}'
        f"<span></span>{axis}<span></span></div></div>"
    )


def _track(share: float, hue: str) -> str:
    line = "position:absolute;left:0;right:0;top:calc(50% - 1px);height:2px;background:rgba(128,136,145,.35)"
    dot = f"position:absolute;left:{100 * share:.1f}%;top:calc(50% - 5px);width:10px;height:10px;margin-left:-5px"
    return (
        f'<span style="position:relative"><span style="{line}"></span>'
        f'<span style="{dot};border-radius:50%;background:{hue}"></span></span>'
    )


def _ends(numbers: Mapping[str, float]) -> tuple[float, float]:
    """Return rounded ends of an axis for the numbers; it starts at 0 if that costs at most half of it."""
    low, high = min(numbers.values()), max(numbers.values())
    low = 0.0 if 0 <= low <= high / 2 else low
    step = 10.0 ** math.floor(math.log10(high - low or abs(high) or 1.0))
    first, last = math.floor(low / step), math.ceil(high / step)
    return first * step, max(last, first + 1) * step


def _decimals(numbers: Mapping[str, float]) -> int:
    """Return how many decimals are needed to show two digits of the numbers' range."""
    spread = max(numbers.values()) - min(numbers.values()) or max(map(abs, numbers.values())) or 1.0
    return max(0, 1 - math.floor(math.log10(spread)))


def _printed(numbers: Mapping[str, float]) -> int:
    """Return the decimals with which a paper prints its numbers: the most that any of them needs."""
    return max(len(f"{value:.10g}".partition(".")[2]) for value in numbers.values())
