"""A lesson's table of symbols, compared with the notation of the course."""

import re
from collections.abc import Iterator

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.notebooks.editions import read_lesson
from studium.topics.notation import Symbol, symbols

_HEADS = ("symbol", "formula")  # what the first column of a table of symbols is called
_TABLE = re.compile(r"(?:^\|.*\|[ \t]*(?:\n|\Z))+", re.MULTILINE)
_FORMULA = re.compile(r"\$(.+?)\$")
_COMMA = re.compile(r",(?![^{(\[]*[})\]])")  # not within brackets
_DEFINED = re.compile(r"=|<|>|\\in\b")
_INDEX = re.compile(r"[_^](?:\{[^}]*\}|\\[a-z]+|\w)")
_HERE = re.compile(r"\bhere\b")


def notation(subject: Subject) -> Finding:
    """See that a symbol means in the lesson what it means in all lessons, or that its table says "here"."""
    text = "\n\n".join(cell.source for cell in read_lesson(subject.topic).cells if cell.cell_type == "markdown")
    known = {symbol.symbol: symbol for symbol in symbols()}
    rows = [(known[name], meaning) for name, meaning in _rows(text) if name in known]
    problems = [_told(symbol, meaning) for symbol, meaning in rows if _differs(symbol, meaning)]
    return Finding(problems, "the lesson's symbols mean what they mean in all lessons, or its table says “here”")


def _differs(symbol: Symbol, meaning: str) -> bool:
    return not symbol.agrees(meaning) and not _HERE.search(meaning)


def _told(symbol: Symbol, meaning: str) -> str:
    return (
        f"the symbol {symbol.symbol} must mean “{symbol.meaning}”, as in all lessons: the lesson's table "
        f"says “{meaning}”; choose another symbol, or write “here: {meaning}” [notation.md]"
    )


def _rows(text: str) -> Iterator[tuple[str, str]]:
    """Return each symbol of the tables of symbols, without its index unless the notation has one, and its meaning."""
    for table in _TABLE.findall(text):
        head, _, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]
        if head[0] in _HEADS and "meaning" in head:
            yield from ((name, row[head.index("meaning")]) for row in rows for name in _names(row[0]))


def _names(cell: str) -> Iterator[str]:
    known = {symbol.symbol for symbol in symbols()}
    for formula in _FORMULA.findall(cell):
        for part in _COMMA.split(formula):
            name = _DEFINED.split(part)[0].replace(" ", "")
            yield name if name in known else _INDEX.sub("", name)
