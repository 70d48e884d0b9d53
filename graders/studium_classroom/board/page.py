"""The pages of the server: each is one file in the site's style, with a policy that lets only its own scripts run."""

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
    "default-src 'none'; {images}script-src {scripts} 'nonce-{nonce}'; style-src {styles}; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types {types}; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_WORDS = {"images": "", "types": "'none'"}  # a page that writes only text
_ANSWERS = {"images": "img-src data:; ", "types": "answer"}  # a page that shows answers, which the server has cleaned


class Page(msgspec.Struct, frozen=True):
    """A page, and the policy it is sent with."""

    html: str
    policy: str


def page(name: str) -> Page:
    """Return a page, such as ``board``: the same for everybody but for a nonce, which imported modules inherit."""
    html, scripts, styles = _template(name)
    nonce = secrets.token_urlsafe(16)
    shown = _ANSWERS if name == "mark" else _WORDS
    return Page(html.replace(_NONCE, nonce), _POLICY.format(scripts=scripts, styles=styles, nonce=nonce, **shown))


@cache
def _template(name: str) -> tuple[str, str, str]:
    parts = view(_HERE / f"{name}.js", _HERE / f"{name}.css")
    html = render(f"{name}.html", _HERE, **parts, policy="", nonce=_NONCE)
    return html, _hashes(_SCRIPT, html), _hashes(_STYLE, html)


def _hashes(element: re.Pattern[str], html: str) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in element.findall(html))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
