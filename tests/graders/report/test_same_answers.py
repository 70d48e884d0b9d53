"""Which students are listed with the same answers, whose comments name somebody else, and who is not listed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("nbgrader")

from studium_graders.commands.same_lines import show_same
from studium_graders.engine.material.assignment import Cell
from studium_graders.grading.answers.fingerprints import MOST_READ, fingerprints, parsed
from studium_graders.grading.answers.misconception_code import misconception_code, without_remarks
from studium_graders.grading.answers.named_students import NamedStudents
from studium_graders.grading.answers.plain_answers import plain_code
from studium_graders.grading.answers.same_answers import Mention, SameAnswers, Written, same_answers, written_in

STUB = "def {name}(x):\n    '''Compute it.'''\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
LONG = "def f(x):\n    total = 0\n    for value in x:\n        total += {k} * value\n    return total\n"
DISGUISED = (
    "def f(x):\n    '''Mine.'''\n\n    s = 0  # my own sum\n    for v in x:\n        s += {k}*v\n    return (s)\n"
)
CELLS = [Cell(name, "answer", STUB.format(name=name)) for name in "fgh"]
ESSAY = Cell("why", "text", "YOUR ANSWER HERE", graded=True)


def handed_in(f: str = "", g: str = "", h: str = "", why: str = "") -> Written:
    sources = zip([*CELLS, ESSAY], (f, g, h, why), strict=True)
    return written_in((f"ps1/{cell.id}", cell, source or cell.source) for cell, source in sources)


def groups(found: SameAnswers) -> list[tuple[str, str, bool]]:
    return [(" ".join(group.students), group.kind, group.expected) for group in found.groups]


def test_copies_are_groups_and_not_pairs() -> None:
    everybody = {f"s{number:03}": handed_in(LONG.format(k=number)) for number in range(20)}
    everybody |= {"s010": everybody["s011"], "s012": everybody["s011"], "s013": handed_in(DISGUISED.format(k=11))}
    assert groups(same_answers(everybody)) == [
        ("s010 s011 s012 s013", "near-identical", False),
        ("s010 s011 s012", "identical", False),
    ]


def test_one_answer_that_differs_makes_answers_differ() -> None:
    everybody = {"ada": handed_in(LONG.format(k=1), "def g(x): return 1"), "bob": handed_in(LONG.format(k=1))}
    assert same_answers(everybody).groups == ()


def test_cells_as_they_were_handed_out_form_no_group() -> None:
    commented = STUB.format(name="f") + "    # no idea\n\n"
    everybody = {"ada": handed_in(), "bob": handed_in(), "cleo": handed_in(commented), "dan": handed_in(commented)}
    assert same_answers(everybody) == SameAnswers()


def test_honest_one_liners_are_listed_and_chance_is_said_to_explain_them() -> None:
    short = handed_in("def f(x):\n    return x + 1\n", "def g(x):\n    y = 2 * x\n    return y\n")
    everybody = dict.fromkeys([f"s{number:03}" for number in range(40)], short)
    everybody |= {"s040": handed_in(LONG.format(k=3)), "s041": handed_in(LONG.format(k=3))}
    found = groups(same_answers(everybody))
    assert [expected for _, _, expected in found] == [False, True]
    assert found[0][0] == "s040 s041"
    assert len(found[1][0].split()) == 40


def test_texts_and_cells_that_are_no_python_are_compared_too() -> None:
    everybody = {
        "ada": handed_in("def f(x) return x  # ada", why="Because\n\nof *that*."),
        "bob": handed_in("def f(x)   return x", why="Because\nof  *that*."),
    }
    assert groups(same_answers(everybody)) == [("ada bob", "near-identical", True)]


def test_another_computation_is_another_answer_and_a_formula_too_deep_to_write_is_its_text() -> None:
    assert plain_code("def f(x, y): return x - y") != plain_code("def f(x, y): return y - x")
    assert plain_code("def f(x, y): return x - y") == plain_code("def f(a, b):\n    return (a - b)  # less")
    assert plain_code("x = " + "-" * 3000 + "1") != ""
    deep = "x = " + " + ".join(["1"] * sys.getrecursionlimit())
    assert plain_code(deep) == deep


ODD = {
    "a long sum": "1" + " + 1" * 1500,
    "a long chain": "x" + ".real" * 1500,
    "many signs": "-" * 1500 + "1",
    "many conditions": "1 if x else " * 900 + "1",
    "a string that no f-string can have": "f\"{'\x01'}\"",
}


def test_an_answer_that_python_can_hardly_write_again_costs_nobody_the_report() -> None:
    for name, odd in ODD.items():
        source = f"def f(x):\n    return {odd}\n"
        assert fingerprints(source), name
        assert plain_code(source), name
        assert without_remarks(source) == "# Python cannot read this answer\n", name
        assert misconception_code("f", source) == "", name


def test_a_cell_of_megabytes_is_compared_as_text_and_read_for_comments_at_its_start() -> None:
    source = "# as s002\n" + "x = 1\n" * (MOST_READ // 6)
    assert parsed(source) is None
    assert parsed("x = 1\n" * 1000)
    everybody = {"s001": handed_in(source), "s002": handed_in(source), "s003": handed_in(f"{source}y = 1")}
    found = same_answers(everybody)
    assert groups(found) == [("s001 s002", "identical", False)]
    assert {one.student for one in found.mentions} == {"s001", "s003"}


def test_the_copied_file_with_its_owners_id_in_a_comment_is_told() -> None:
    everybody = {
        "s012": handed_in("# s012\n" + LONG.format(k=1)),
        "s013": handed_in("# s012\n" + LONG.format(k=1)),
        "s014": handed_in(LONG.format(k=2) + "# thanks to S013.\n"),
        "s015": handed_in("def f(x:\n    return 1 # as s014"),
        "s016": handed_in("def f(x):\n    '''s015 and s099'''\n    return 's014'\n"),
    }
    found = same_answers(everybody)
    assert [(one.student, one.names, one.comment) for one in found.mentions] == [
        ("s013", "s012", "# s012"),
        ("s014", "s013", "# thanks to S013."),
        ("s015", "s014", "# as s014"),
        ("s016", "s015", "s015 and s099"),
    ]
    assert groups(found) == [("s012 s013", "identical", False)]


def test_a_comment_that_everybody_was_given_names_nobody() -> None:
    cell = Cell("f", "answer", "# by s012\nraise NotImplementedError()")
    row = written_in([("ps1/f", cell, "# by s012\nreturn 1")])
    assert same_answers({"s012": row, "s013": row}).mentions == ()


WORDS = [
    ("s012", "from s012's notebook", True),
    ("s012", "s0123 and as012", False),
    ("s012", "s012@example.org", False),
    ("ada.m", "see ada.m.", True),
    ("ada", "ada", False),  # too short for a word
    ("h2", "h2", False),
    ("4096", "(4096, 8)", False),  # a size
    ("20241234", "20241234", True),
    ("maria", "Maria helped", True),
    ("alpha", "scaled by alpha", False),  # handed out
    ("batch", "one row of the batch", False),  # three students write it
]


def test_an_id_counts_as_a_whole_word_that_can_hardly_be_anything_else() -> None:
    for student, comment, is_named in WORDS:
        said = {student: [], "other": [comment], "third": ["the batch"], "fourth": ["each batch"]}
        named = NamedStudents(said, "scale with alpha").in_text("other", comment)
        assert named == ([student] if is_named else []), student


def test_nobody_is_named_in_their_own_comment_or_in_a_class_of_ids_that_are_no_names() -> None:
    assert NamedStudents({"s012": ["s012"]}).in_text("s012", "by s012") == []
    assert NamedStudents({"1": ["2"], "2": ["1"]}).in_text("1", "2") == []


def test_a_class_of_three_hundred_prints_ten_lines_and_says_how_many_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    everybody = {f"s{number:03}": handed_in(LONG.format(k=number // 2)) for number in range(300)}
    show_same(same_answers(everybody), more_in="--json has them")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[1] == "  identical: s000, s001 (1 answer, the longest of 4 lines)"
    assert lines[-1] == "  and 140 more (--json has them)"
    show_same(SameAnswers(), more_in="nowhere")
    assert capsys.readouterr().out == ""


def test_long_groups_and_comments_are_cut_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    short = handed_in("def f(x): return 1")
    same = same_answers(dict.fromkeys([f"s{number:03}" for number in range(25)], short))
    same = SameAnswers(same.groups, (Mention("s001", "s002", "ps1/f", "y" * 90),))
    show_same(same, more_in="--json has them")
    out = capsys.readouterr().out
    assert f"  s001 names s002 in a comment in ps1/f: {'y' * 60}…\n" in out
    assert "s009 and 15 more (short answers are often identical by chance)\n" in out


@contextmanager
def calls_of(name: str) -> Iterator[list[int]]:
    """Count the calls of the functions of one module."""
    counted = [0]

    def count(frame, event, _):  # type: ignore[no-untyped-def]
        counted[0] += event == "call" and frame.f_globals.get("__name__") == name

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(before)


def test_the_work_grows_with_the_number_of_answers_and_not_of_pairs() -> None:
    def work(students: int) -> int:
        class_ = {f"s{n:03}": handed_in(f"# as s{n // 2:03}\n" + LONG.format(k=n // 2)) for n in range(students)}
        with calls_of("studium_graders.grading.answers.same_answers") as counted:
            assert len(same_answers(class_).groups) >= students // 2
        return counted[0]

    assert work(300) < 4 * work(100)
