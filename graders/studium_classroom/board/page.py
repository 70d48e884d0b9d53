"""The page of a board: one file in the site's style, whose scripts and styles the policy names by their hashes."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

import msgspec
from studium_graders.report.rendering import render, view

_HERE = Path(__file__).parent
_SCRIPTS, _STYLES = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL), re.compile(r"<style>(.*?)</style>", re.DOTALL)
_POLICY = (
    "default-src 'none'; script-src {scripts} 'strict-dynamic'; style-src {styles}; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class Page(msgspec.Struct, frozen=True):
    """A page, and the policy that it is sent with."""

    html: str
    policy: str


@cache
def board_page() -> Page:
    """Return the page, which is the same for all boards."""
    html = render("board.html", _HERE, **view(_HERE / "board.js", _HERE / "board.css"), policy="")
    return Page(html, _POLICY.format(scripts=_hashes(_SCRIPTS, html), styles=_hashes(_STYLES, html)))


def _hashes(elements: re.Pattern[str], html: str) -> str:
    texts = elements.findall(html)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)
