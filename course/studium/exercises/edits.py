"""Edits of a solution: find the piece of it that an edit means, and the resulting text.

Tokens are compared instead of text, so an edit still means the same piece after a formatter breaks lines, adds spaces
around operators or a trailing comma, or puts a long expression in parentheses.
"""

import io
import keyword
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

Edits = Sequence[tuple[str, str]]
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
_LAYOUT = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\n>", tokenize.DEDENT: "\n<"}
_SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER, tokenize.ENCODING)
_OPEN, _CLOSED = "([{", ")]}"


class Token(NamedTuple):
    """A piece of code with its place; the text of a line end or an indentation does not depend on its form."""

    text: str
    start: int
    end: int


class Code(NamedTuple):
    """The tokens of a text. ``kept`` are the places of those that no formatter adds or removes.

    ``pairs`` are the places of parentheses whose only purpose is to hold an expression of several lines together.
    """

    tokens: list[Token]
    comments: list[Token]
    kept: list[int]
    pairs: list[tuple[int, int]]


def solution_body(lines: Iterable[str]) -> str:
    """Return what is between the markers in the lines of a function, dedented; "" if there are none."""
    found: list[str] = []
    inside = False
    for line in lines:
        mark = line.strip()
        if mark == END and inside:
            return textwrap.dedent("".join(found))
        if inside:
            found.append(line)
        inside = inside or mark == BEGIN
    return ""


def places(body: str, old: str) -> Iterator[tuple[int, int]]:
    """Return where ``old`` occurs in a text: the first character and the one after the last."""
    whole, part = _code(body), _code(textwrap.dedent(old).strip())
    wanted = [part.tokens[n].text for n in part.kept]
    while wanted and wanted[-1] in _LAYOUT.values():
        wanted.pop()
    texts = [whole.tokens[n].text for n in whole.kept]
    for at in range(len(texts) - len(wanted) + 1) if wanted else ():
        if texts[at : at + len(wanted)] == wanted:
            span = _with_parentheses(whole.pairs, whole.kept[at], whole.kept[at + len(wanted) - 1])
            if span:
                yield whole.tokens[span[0]].start, whole.tokens[span[1]].end


def overlapping(body: str, olds: Sequence[str]) -> tuple[str, str] | None:
    """Return two pieces of a text that share a token, or None, as is usual."""
    spans = sorted((next(places(body, old)), old) for old in olds)
    neighbours = pairwise(spans)
    return next(((old, other) for ((_, end), old), ((start, _), other) in neighbours if start < end), None)


def edited(body: str, edits: Edits | Mapping[str, str]) -> str:
    """Return a solution's text with each edit made where it first fits, without the original comments.

    A text of several lines is indented like the line where it begins; lines left empty are removed.
    """
    pairs = list(edits.items() if isinstance(edits, Mapping) else edits)
    text = without_comments(body)
    for (start, end), new in sorted(((next(places(text, old)), new) for old, new in pairs), reverse=True):
        text = _replaced(text, start, end, textwrap.dedent(new).strip())
    return text


def without_comments(text: str) -> str:
    """Return a text without its comments, and without lines that contain nothing else."""
    for comment in reversed(_code(text).comments):
        text = _replaced(text, comment.start, comment.end, "")
    return text


def _replaced(text: str, start: int, end: int, new: str) -> str:
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    last = len(text) if last < 0 else last
    before, after = text[first:start], text[end:last]
    if not new and not (before + after).strip():
        return text[:first] + text[last + 1 :]
    indent = before[: len(before) - len(before.lstrip())]
    return f"{text[:first]}{before}{textwrap.indent(new, indent).removeprefix(indent)}{after}".rstrip(" ") + text[last:]


@lru_cache(maxsize=256)  # each edit of a solution calls this
def _code(text: str) -> Code:
    """Tokenise a text; if it is not code, or has unbalanced brackets, the result is empty."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tokens, comments = [], []
    try:
        for item in tokenize.generate_tokens(io.StringIO(text).readline):
            start, end = (starts[row - 1] + column for row, column in (item.start, item.end))
            if item.type == tokenize.COMMENT:
                comments.append(Token(item.string, start, end))
            elif item.type not in _SKIPPED:
                tokens.append(Token(_LAYOUT.get(item.type, item.string), start, end))
        pairs = _brackets(tokens)
    except (tokenize.TokenError, SyntaxError, IndexError):
        return Code([], [], [], [])
    holding = [pair for pair in pairs if _is_holding(text, tokens, *pair)]
    left_out = {place for pair in holding for place in pair} | set(_trailing_commas(tokens, pairs))
    return Code(tokens, comments, [n for n in range(len(tokens)) if n not in left_out], holding)


def _brackets(tokens: list[Token]) -> list[tuple[int, int]]:
    """Return the places of each pair of brackets, inner ones first; raise IndexError if one is unmatched."""
    opened, pairs = [], []
    for n, token in enumerate(tokens):
        if token.text in _OPEN:
            opened.append(n)
        elif token.text in _CLOSED:
            pairs.append((opened.pop(), n))
    if opened:
        raise IndexError
    return pairs


def _is_holding(text: str, tokens: list[Token], first: int, last: int) -> bool:
    """Return whether a formatter may have put these brackets around an expression to break it over lines."""
    if tokens[first].text != "(" or _follows_a_value(tokens, first) or last - first < 2:
        return False
    opens = "\n" in text[tokens[first].end : tokens[first + 1].start]
    closes = "\n" in text[tokens[last - 1].end : tokens[last].start]
    return opens and closes and (last + 1 == len(tokens) or tokens[last + 1].text in ("\n", ":"))


def _trailing_commas(tokens: list[Token], pairs: list[tuple[int, int]]) -> Iterator[int]:
    """Return the places of commas before a closing bracket, except the one that makes a tuple of a single value."""
    for first, last in pairs:
        if tokens[last - 1].text != ",":
            continue
        inner = {n for a, b in pairs if first < a and b < last for n in range(a, b + 1)}
        others = any(tokens[n].text == "," for n in range(first + 1, last - 1) if n not in inner)
        is_call = (tokens[first].text == "(") == _follows_a_value(tokens, first)
        if others or is_call:
            yield last - 1


def _follows_a_value(tokens: list[Token], place: int) -> bool:
    """Return whether a bracket calls or indexes what comes before it."""
    before = tokens[place - 1].text if place else ""
    is_name = before.isidentifier() and not keyword.iskeyword(before)
    return is_name or before[-1:] in (*_CLOSED, '"', "'")


def _with_parentheses(pairs: list[tuple[int, int]], first: int, last: int) -> tuple[int, int] | None:
    """Return a span with the parentheses that hold it; None if it ends in the middle of their contents."""
    for a, b in pairs:
        inside = first <= a <= last, first <= b <= last
        if inside == (True, False) and b == last + 1:
            last = b
        elif inside == (False, True) and a == first - 1:
            first = a
        elif inside[0] != inside[1]:
            return None
    return first, last
