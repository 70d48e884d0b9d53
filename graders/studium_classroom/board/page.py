"""The page of a board: one file in the site's style, with a policy that lets only its own scripts run."""

import base64
import hashlib
import re
import secrets
from functools import cache
from pathlib import Path

import msgspec
from studium_graders.report.rendering import render, view

_HERE = Path(__file__).parent
_SCRIPT, _STYLE = re.compile(r"<script>(.*?)</script>", re.DOTALL), re.compile(r"<style>(.*?)</style>", re.DOTALL)
_NONCE = "nonce-of-each-answer"
_POLICY = (
    "default-src 'none'; script-src {scripts} 'nonce-{nonce}'; style-src {styles}; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class Page(msgspec.Struct, frozen=True):
    """A page, and the policy it is sent with."""

    html: str
    policy: str


def board_page() -> Page:
    """Return the page, which is the same for all boards except for a nonce that imported modules inherit."""
    html, scripts, styles = _template()
    nonce = secrets.token_urlsafe(16)
    return Page(html.replace(_NONCE, nonce), _POLICY.format(scripts=scripts, styles=styles, nonce=nonce))


@cache
def _template() -> tuple[str, str, str]:
    html = render("board.html", _HERE, **view(_HERE / "board.js", _HERE / "board.css"), policy="", nonce=_NONCE)
    return html, _hashes(_SCRIPT, html), _hashes(_STYLE, html)


def _hashes(element: re.Pattern[str], html: str) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in element.findall(html))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
