"""Formulas: TeX to MathML, which browsers render themselves, so a page needs no script and no network for it."""

import re
from collections.abc import Iterator
from functools import cache
from html import escape, unescape

from math_core import LatexError, LatexToMathML

_ROOT = re.compile(r"√(?:(\w+)|\(((?:[^()]|\([^()]*\))+)\))")
_SPECIAL = re.compile(r"[#$%&_{}]")


def formula(tex: str, *, display: bool) -> str:
    """Return a formula as MathML, with its TeX inside for copying; anything that is not TeX is returned as code."""
    try:
        return _converter().convert_with_local_state(tex, displaystyle=display)
    except LatexError:
        return f'<code class="tex">{escape(tex)}</code>'


def words(tex: str) -> str:
    r"""Return a formula as a line of letters and signs: ``\Delta W`` as "ΔW"."""
    found = re.sub(r"<annotation.*?</annotation>|<[^>]*>", "", formula(tex, display=False), flags=re.DOTALL)
    return unescape(found).replace("\u2062", "").replace("\u2061", "")


def roots(text: str) -> Iterator[tuple[str, str]]:
    r"""Split plain text at its roots into pairs of words and TeX: "q / √d" gives "q / " with ``\sqrt{d}``."""
    end = 0
    for root in _ROOT.finditer(text):
        yield text[end : root.start()], rf"\sqrt{{{_under(root[1] or root[2])}}}"
        end = root.end()
    yield text[end:], ""


def _under(words: str) -> str:
    """Return what stands below a root: a letter is a symbol, and anything longer is text."""
    escaped = _SPECIAL.sub(r"\\\g<0>", words).replace(" - ", " − ")
    return words if len(words) == 1 else rf"\text{{{escaped}}}"


def why_not(tex: str) -> str:
    """Return what is wrong with a formula, or ""."""
    try:
        _converter().convert_with_local_state(tex, displaystyle=False)
    except LatexError as error:
        return " ".join(str(error).split())
    return ""


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(annotation=True, fancy_error=False, allow_unreliable_rendering=True)
