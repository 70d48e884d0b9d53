from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from studium import open_lesson
from studium.exercises.verdict import VERDICT
from studium_widgets import ImageGrid


def unscaled(weight, a, b, alpha):
    return weight + alpha * (b @ a)


def correct(weight, a, b, alpha):
    return weight + alpha / len(a) * (b @ a)


unscaled.__name__ = correct.__name__ = "merge"


@pytest.fixture
def lesson(sample):
    return open_lesson("sample", "smoke")


def test_check_shows_points_the_mistake_and_every_test(lesson):
    text = repr(lesson.check(unscaled))
    assert "Not right yet: merge, 1 of 3 points" in text
    assert "You scaled by alpha" in text
    assert "✓ keeps the shape of weight" in text
    assert "✗ scales with alpha / r: at index" in text


def test_check_looks_the_same_in_html_and_escapes_it(lesson):
    html = lesson.check(unscaled).forms()["text/html"]
    assert "Not right yet: merge" in html
    assert 'role="status"' in html
    assert "<script" not in html


def test_a_right_answer_says_what_is_right_and_no_more(lesson):
    assert repr(lesson.check(correct)) == "Right: merge, 3 of 3 points\n`merge` keeps the shape of weight."


def test_in_a_notebook_the_text_of_an_answer_is_its_whole_cell_as_the_badge_records_it(lesson):
    shell = InteractiveShell.instance()
    cell = "import math\n\n# alpha / r\ndef merge(weight, a, b, alpha):\n    return weight + alpha * (b @ a)\n"
    shell.run_cell(cell, store_history=False)
    about = lesson.check(shell.user_ns.pop("merge")).forms()[VERDICT]
    assert about["answer"].strip() == cell.strip()


def test_outside_a_notebook_the_text_of_an_answer_is_its_function(lesson):
    about = lesson.check(correct).forms()[VERDICT]
    assert about["answer"] == "def correct(weight, a, b, alpha):\n    return weight + alpha / len(a) * (b @ a)\n"


def test_checking_by_name_says_that_nothing_was_attempted(lesson):
    assert repr(lesson.check("merge")) == "Not attempted yet: merge (3 points)"


def test_hints_come_one_more_at_a_time_and_then_all(lesson):
    texts = [repr(lesson.hint("merge")) for _ in range(3)]
    assert [text.count("Hint") for text in texts] == [1, 2, 2]


def test_an_exercise_without_hints_says_so(lesson):
    assert "twice has no hints" in repr(lesson.hint("twice"))


def test_the_solution_is_revealed_after_an_attempt_alone(lesson):
    assert "Try first" in repr(lesson.reveal("merge"))
    lesson.check(unscaled)
    assert "alpha / a.shape[0]" in repr(lesson.reveal("merge"))


def test_mine_is_the_learners_function_if_it_is_right(lesson):
    assert lesson.mine(correct) is correct


def test_mine_is_the_courses_own_with_a_note_if_it_is_not(lesson, capsys):
    assert lesson.mine(unscaled).__name__ == "merge"
    assert lesson.mine(unscaled) is not unscaled
    assert "merge is not right yet, so the course's own version runs instead." in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "whose"), [(correct, "my own"), (unscaled, "the lesson's")])
def test_a_keepsake_says_whose_code_made_the_picture(lesson, answer, whose, capsys):
    kept = lesson.keepsake(ImageGrid.example(), "A cat", "loss 0.1", answer)
    title, claim, measured, _ = kept._caption.split("\n")
    assert (title, claim, measured) == (lesson.topic.title, f"A cat, with {whose} merge", "loss 0.1")
    assert not capsys.readouterr().out


def test_an_unknown_function_is_answered_with_the_nearest(lesson):
    with pytest.raises(Exception, match="did you mean 'merge'"):
        lesson.check("merg")
