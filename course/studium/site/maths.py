"""Formulas: TeX to MathML, which browsers set themselves, so that a page needs no script and no network for it."""

import re
from functools import cache
from html import escape, unescape

from math_core import LatexError, LatexToMathML


def formula(tex: str, *, display: bool) -> str:
    """Return a formula as MathML, with its TeX inside to be copied; what is no TeX comes back as code."""
    try:
        return _converter().convert_with_local_state(tex, displaystyle=display)
    except LatexError:
        return f'<code class="tex">{escape(tex)}</code>'


def words(tex: str) -> str:
    """Return a formula in one line of letters and signs: ``\\Delta W`` as "ΔW"."""
    found = re.sub(r"<annotation.*?</annotation>|<[^>]*>", "", formula(tex, display=False), flags=re.DOTALL)
    return unescape(found).replace("\u2062", "").replace("\u2061", "")


def why_not(tex: str) -> str:
    """Say what is wrong with a formula, or "" where nothing is."""
    try:
        _converter().convert_with_local_state(tex, displaystyle=False)
    except LatexError as error:
        return " ".join(str(error).split())
    return ""


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(annotation=True, fancy_error=False, allow_unreliable_rendering=True)
