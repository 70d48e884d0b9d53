"""Edits of a solution mean the same tokens, however a formatter has laid the solution out."""

import ast
import io
import tokenize

from hypothesis import given
from hypothesis import strategies as st
from studium.exercises.edits import edited, overlapping, places, solution_body, without_comments

BODY = """\
scale = alpha / a.shape[0]  # of LoRA
if alpha > 1:
    return torch.addmm(weight, b, a, alpha=scale), (scale,)
return weight + scale * (b @ a)
"""
PIECES = ("alpha / a.shape[0]", "torch.addmm(weight, b, a, alpha=scale)", "(scale,)", "weight + scale", "b @ a")


def count(body: str, old: str) -> int:
    return sum(1 for _ in places(body, old))


def meaning(body: str) -> str:
    return ast.dump(ast.parse("def f():\n" + "".join(f"    {line}\n" for line in body.splitlines())))


def rewrapped(body: str, breaks: set[int], commas: bool) -> str:
    """Lay a body out as a formatter may: breaks after the given tokens in brackets, trailing commas, parentheses."""
    lines, depth, calls, last = [""], 0, [], ""
    for n, token in enumerate(tokenize.generate_tokens(io.StringIO(without_comments(body)).readline)):
        text = token.string
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            if breaks and lines[-1].lstrip().startswith("return "):
                indent = " " * (len(lines[-1]) - len(lines[-1].lstrip()))
                lines[-1] = f"{indent}return (\n{indent}    {lines[-1].lstrip().removeprefix('return ')}\n{indent})"
            lines.append("")
            continue
        if token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        if text in (")", "]"):
            depth -= 1
            lines[-1] += "," if calls.pop() and commas and last not in ("(", "[", ",") else ""
        lines[-1] += " " * token.start[1] if not lines[-1] else " " * (text not in ").,]([" and last not in ".([")
        lines[-1] += text
        if text in ("(", "["):
            depth += 1
            calls.append(text == "(" and last.isidentifier() and last != "return")
        if depth and n in breaks:
            lines[-1] += "\n            "
        last = text
    return "\n".join(lines)


@given(st.sets(st.integers(0, 60)), st.booleans())
def test_a_formatters_line_breaks_commas_and_parentheses_change_no_edit(breaks: set[int], commas: bool) -> None:
    body = rewrapped(BODY, breaks, commas)
    assert meaning(body) == meaning(BODY)
    for old in PIECES:
        assert count(body, old) == 1
        assert meaning(edited(body, {old: "other"})) == meaning(edited(BODY, {old: "other"}))
    whole = {"return weight + scale * (b @ a)": "weight += 1\nreturn weight"}
    assert meaning(edited(body, whole)) == meaning(edited(BODY, whole))


@given(st.sampled_from(PIECES), st.integers(0, 3))
def test_a_piece_is_found_as_often_as_it_is_there(piece: str, times: int) -> None:
    assert count("x = 1\n" + f"y = f({piece})\n" * times, piece) == times


def test_whole_tokens_are_found_and_no_half_brackets() -> None:
    for old, times in [
        ("alpha", 3),
        ("al", 0),
        ("a", 3),
        ("b@a", 1),
        ("alpha/a . shape[0]", 1),
        ("scale", 4),
        ("(scale)", 0),
        ("scale,", 1),
        ("of LoRA", 0),
        ("(b @ a", 0),
        ("", 0),
        ("if alpha > 1:\n    return torch.addmm(weight, b, a, alpha=scale), (scale,)\nreturn weight", 1),
        ("if alpha > 1:\nreturn torch", 0),
        ("'", 0),
    ]:
        assert count(BODY, old) == times


def test_parentheses_are_left_where_an_edit_ends_within_them() -> None:
    body = "return (\n    weight\n    + update\n)\n"
    assert edited(body, {"weight + update": "update"}) == "return (\n    update\n)\n"
    assert edited(body, {"return weight + update": "return update"}) == "return update\n"
    assert count(body, "return weight") == 0


def test_a_tuple_of_one_value_is_no_value() -> None:
    assert (count("x = (a,)", "(a)"), count("x = f(a,)", "f(a)"), count("x = y[a,]", "y[a]")) == (0, 1, 0)
    assert (count("x = [a,]", "[a]"), count("x = (a, b,)", "(a, b)")) == (1, 1)


def test_a_block_takes_the_indentation_of_its_place_and_an_empty_text_the_line_away() -> None:
    body = "for x in xs:\n    y = x  # why\n    # more\n    z = y\n"
    assert edited(body, [("y = x", "\n        y = -x\n        if y:\n            y = 0\n        ")]) == (
        "for x in xs:\n    y = -x\n    if y:\n        y = 0\n    z = y\n"
    )
    assert edited(body, [("y = x", ""), ("z = y", "z = x")]) == "for x in xs:\n    z = x\n"


def test_edits_that_share_a_token_are_told() -> None:
    assert overlapping(BODY, ["b @ a", "scale * (b @ a)"]) == ("scale * (b @ a)", "b @ a")
    assert overlapping(BODY, ["weight + scale", "b @ a"]) is None


def test_the_body_is_what_stands_between_the_markers() -> None:
    lines = "def f():\n    a\n    ### BEGIN SOLUTION\n    b\n    c\n    ### END SOLUTION\n    d\n".splitlines(True)
    assert (solution_body(lines), solution_body(lines[:3])) == ("b\nc\n", "")
