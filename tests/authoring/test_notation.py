"""A symbol means the same in all lessons, unless a lesson's own table says "here"."""

from __future__ import annotations

import re

import pytest
from studium.authoring.notation import notation
from studium.authoring.subject import open_subject
from studium.topics.notation import symbols

from tests.authoring.conftest import SMOKE, Damage


@pytest.fixture
def problems(copy_sample):
    """problems(table) → what the check says of the sample topic with this table in its lesson."""

    def run(table: str) -> list[str]:
        added = "\n# %% [markdown]\n" + "\n".join(f"# {line}" for line in table.splitlines()) + "\n"
        with open_subject(str(copy_sample(Damage("", "notation", "lesson.py", added))), SMOKE) as subject:
            return notation(subject).problems

    return run


def table(*rows: str, head: str = "symbol") -> str:
    return "\n".join([f"| {head} | meaning |", "|---|---|", *rows])


def test_a_symbol_with_another_meaning_is_a_problem(problems):
    for row in [
        "| $H$ | width of a layer |",
        "| $H_2$ | width of the second layer |",
        "| $x$, $H$ | a vector, and its width |",
        "| $x_i, H = 4 d$ | a vector, and its width |",
        r"| $\sigma_i$ | singular values |",
        "| $x_0$ | what enters the first layer |",
    ]:
        (found,) = problems(table(row))
        assert "must mean" in found
        assert row.split("|")[2].strip() in found


def test_a_symbol_with_its_meaning_another_symbol_or_one_that_is_declared_is_none(problems):
    for row in [
        "| $H$ | number of heads |",
        "| $B, T, D$ | texts in a batch, tokens of a text, width of the model |",
        "| $H$ | here, as in the paper: width of a layer |",
        "| $x_1$ | what enters the first layer |",
        r"| $\hat H$, $H(p)$, $dH$ | an estimate, an entropy, and a gradient |",
    ]:
        assert problems(table(row)) == []


def test_only_tables_of_symbols_are_read(problems):
    for head, count in [("model", 0), ("formula", 1)]:
        assert len(problems(table("| $H$ | width of a layer |", head=head))) == count


def test_the_notation_agrees_with_itself():
    assert len({one.symbol for one in symbols()}) == len(symbols())
    for one in symbols():
        assert one.agrees(one.meaning), one
        assert all(re.compile(word) for word in one.words)
