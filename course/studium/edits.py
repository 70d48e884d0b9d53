"""Edits of a solution: which piece of it an edit means, and the text that it becomes.

Tokens are compared and not text, so a formatter may break lines, space operators, add a trailing comma or put a long
expression in parentheses: an edit means the same piece as before.
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
    """A piece of code with its place; the text of a line's end, or of an indentation, does not depend on its form."""

    text: str
    start: int
    end: int


class Code(NamedTuple):
    """What a text consists of. ``kept`` are the places of the tokens that no formatter adds or takes away.

    ``pairs`` are the places of parentheses that do nothing but hold an expression of several lines together.
    """

    tokens: list[Token]
    comments: list[Token]
    kept: list[int]
    pairs: list[tuple[int, int]]


def solution_body(lines: Iterable[str]) -> str:
    """Return what stands between the markers in the lines of a function, dedented; "" where there are none."""
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
    """Return where ``old`` stands in a text: the first character and the one after the last."""
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
    """Return two pieces of a text, each of which stands there, that share a token; None as a rule."""
    spans = sorted((next(places(body, old)), old) for old in olds)
    neighbours = pairwise(spans)
    return next(((old, other) for ((_, end), old), ((start, _), other) in neighbours if start < end), None)


def edited(body: str, edits: Edits | Mapping[str, str]) -> str:
    """Return a solution's text with each edit made where it fits first, without the comments it had.

    A text of several lines is indented as the line in which it begins; a line of which nothing remains is left out.
    """
    pairs = list(edits.items() if isinstance(edits, Mapping) else edits)
    text = without_comments(body)
    for (start, end), new in sorted(((next(places(text, old)), new) for old, new in pairs), reverse=True):
        text = _replaced(text, start, end, textwrap.dedent(new).strip())
    return text


def without_comments(text: str) -> str:
    """Return a text without its comments, and without the lines that hold nothing else."""
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


@lru_cache(maxsize=256)  # each edit of a solution asks
def _code(text: str) -> Code:
    """Read a text; what is no code, or has half a pair of brackets, is empty."""
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
    """Return the places of each pair of brackets, inner ones first; raise IndexError where one is alone."""
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
    """Return whether a formatter may have put these brackets around an expression, to break it over lines."""
    if tokens[first].text != "(" or _follows_a_value(tokens, first) or last - first < 2:
        return False
    opens = "\n" in text[tokens[first].end : tokens[first + 1].start]
    closes = "\n" in text[tokens[last - 1].end : tokens[last].start]
    return opens and closes and (last + 1 == len(tokens) or tokens[last + 1].text in ("\n", ":"))


def _trailing_commas(tokens: list[Token], pairs: list[tuple[int, int]]) -> Iterator[int]:
    """Return the places of commas before a closing bracket, but for the one that makes a tuple of a single value."""
    for first, last in pairs:
        if tokens[last - 1].text != ",":
            continue
        inner = {n for a, b in pairs if first < a and b < last for n in range(a, b + 1)}
        others = any(tokens[n].text == "," for n in range(first + 1, last - 1) if n not in inner)
        is_call = (tokens[first].text == "(") == _follows_a_value(tokens, first)
        if others or is_call:
            yield last - 1


def _follows_a_value(tokens: list[Token], place: int) -> bool:
    """Return whether a bracket calls or indexes what stands before it."""
    before = tokens[place - 1].text if place else ""
    is_name = before.isidentifier() and not keyword.iskeyword(before)
    return is_name or before[-1:] in (*_CLOSED, '"', "'")


def _with_parentheses(pairs: list[tuple[int, int]], first: int, last: int) -> tuple[int, int] | None:
    """Return a span with the parentheses that hold it; None where it ends in the midst of what they hold."""
    for a, b in pairs:
        inside = first <= a <= last, first <= b <= last
        if inside == (True, False) and b == last + 1:
            last = b
        elif inside == (False, True) and a == first - 1:
            first = a
        elif inside[0] != inside[1]:
            return None
    return first, last
