"""A look back: which mistakes were named and are overcome, and which predictions hit."""

from __future__ import annotations

import msgspec
from studium.desk.description import Description, ExerciseText, WrongAnswer
from studium.desk.lesson_images import lesson_images
from studium.desk.records import Checked, Found, Predicted, Revealed, new_entry
from studium.desk.retrospect import look_back

SCALED = WrongAnswer("sample/merge/scaled", "You scaled by alpha.", "…")
FLAT = WrongAnswer("sample/merge/flat", "You forgot the scale.", "…")
MERGE = msgspec.convert(
    {
        **dict.fromkeys(("points", "max_points", "minutes"), 1.0),
        "id": "merge",
        "level": "core",
        "importance": 2,
        "kind": "write",
        "optional": False,
        "tests": [],
        "hints": [],
        "stub": "",
        "solution": "",
        "wrong": [SCALED, FLAT],
    },
    ExerciseText,
    from_attributes=True,
)
DESCRIBED = {"sample": Description("sample", [MERGE])}


def wrong(mistake: WrongAnswer | None) -> Checked:
    return Checked("wrong", 0.0, 3.0, mistake_id=mistake.id if mistake else "")


RIGHT = Checked("right", 3.0, 3.0)


def look(*whats, exercise="merge"):
    return look_back([new_entry("sample", exercise, what) for what in whats], DESCRIBED)


def test_a_named_mistake_is_overcome_once_its_exercise_is_right():
    before, after = look(wrong(SCALED)), look(wrong(SCALED), RIGHT)
    assert [(one.sentence, one.overcome) for one in before.mistakes] == [("You scaled by alpha.", None)]
    assert (before.overcome, after.overcome) == (0, 1)
    assert after.mistakes[0].overcome >= after.mistakes[0].met


def test_the_same_mistake_twice_is_one_and_another_is_another():
    back = look(wrong(SCALED), wrong(SCALED), wrong(FLAT), wrong(None))
    assert [one.sentence for one in back.mistakes] == ["You scaled by alpha.", "You forgot the scale."]


def test_a_mistake_that_is_made_again_is_not_overcome_until_the_exercise_is_right_again():
    assert look(wrong(SCALED), RIGHT, wrong(SCALED)).overcome == 0
    assert look(wrong(SCALED), RIGHT, wrong(SCALED), RIGHT).overcome == 1


def test_being_right_with_the_solution_seen_overcomes_nothing():
    assert look(wrong(SCALED), Revealed(), RIGHT).overcome == 0


def test_being_right_elsewhere_overcomes_nothing():
    entries = [new_entry("sample", "merge", wrong(SCALED)), new_entry("sample", "twice", RIGHT)]
    assert look_back(entries, DESCRIBED).overcome == 0


def test_a_mistake_that_no_topic_knows_any_more_counts_without_a_sentence():
    (met,) = look_back([new_entry("gone", "merge", wrong(SCALED))], DESCRIBED).mistakes
    assert met.sentence == ""


def test_predictions_come_in_the_order_of_time_with_what_was_found():
    whats = (Predicted("ratio", 10), Found("ratio", 12.5, False), Predicted("rank", 4), Found("rank", 4, True))
    back = look(*whats, exercise="")
    assert [(one.name, one.guess, one.value, one.hit) for one in back.predictions] == [
        ("ratio", 10, 12.5, False),
        ("rank", 4, 4, True),
    ]
    assert back.hits == 1


def test_an_answer_that_nobody_had_guessed_is_no_prediction():
    assert look(Found("ratio", 12.5, False), exercise="").predictions == []


def lesson(tag: str, *svgs: str) -> Description:
    """A lesson whose cells with a tag keep the state of a diagram."""
    from nbformat.v4 import new_code_cell, new_notebook, new_output, writes
    from studium.notebooks.files import SAVED_WIDGET

    cells = [
        new_code_cell(
            "…",
            metadata={"tags": [tag]},
            outputs=[new_output("display_data", {SAVED_WIDGET: {"widget": "w", "state": {"svg": svg}}})],
        )
        for svg in svgs
    ]
    return Description("sample", notebook=writes(new_notebook(cells=cells)))


def test_a_lessons_image_is_its_first_diagram():
    described = {"drawn": lesson("diagram", "<svg>1</svg>", "<svg>2</svg>"), "plain": lesson("widget", "<svg/>")}
    described["broken"] = Description("broken", problem="it does not import")
    assert lesson_images(described) == {"drawn": "<svg>1</svg>"}
