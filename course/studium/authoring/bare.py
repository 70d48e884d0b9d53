"""Text reduced to what survives copying, reformatting or writing it into another kind of file."""

import html
import io
import re
import tokenize
from contextlib import suppress

_MOVES = re.compile(r"\\[nrt]|[\s;#`'\"\\]+")  # line breaks that a string spells out; spaces, comments, quotes
_LAST_COMMA = re.compile(r",(?=[)\]}])")  # which a formatter adds


def bare(text: str) -> str:
    """Return a text in a form that is the same in code, JSON, JavaScript, Markdown and HTML."""
    return _LAST_COMMA.sub("", _MOVES.sub("", html.unescape(text)))


def squeezed(text: str) -> str:
    """Return a text on one line, with single spaces."""
    return re.sub(r"\s+", " ", text).strip()


def without_comments(code: str) -> str:
    """Return Python code without its comments; anything else is returned unchanged."""
    lines = code.splitlines()
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines)
