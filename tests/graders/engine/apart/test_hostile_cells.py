"""What a student's process may send in answer to a cell: outputs that are none, too many, or of odd text."""

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.cell_outputs import MOST_SHOWN
from studium_graders.engine.judge_side.student_gone import StudentGone

from .liar import frame, liar

RAN = 0
NOTHING = [False, False, False]


@pytest.mark.parametrize(
    "said",
    [
        7,
        [RAN, [], "", NOTHING, 1],
        [RAN, 5, "", NOTHING],
        [RAN, [], 5, NOTHING],
        [RAN, [{"output_type": "stream", "name": "mine", "text": ""}], "", NOTHING],
        [RAN, [{"output_type": "display_data", "data": {"text/plain": [1]}}], "", NOTHING],
        b"\x94\x00\x90\xa3\xed\xb0\x80\x93\xc2\xc2\xc2",
    ],
)
def test_what_is_no_answer_to_a_cell_ends_the_student_and_not_the_judge(said):
    with liar(frame(said)) as student:
        with pytest.raises(StudentGone) as gone:
            student.run("x = 1")
        assert gone.value.verdict == "broken protocol"
        with pytest.raises(StudentGone):
            student.run("x = 2")


def test_a_cell_whose_running_itself_fails_has_that_for_its_error(make_student):
    student = make_student(
        "import gc\nfrom studium_graders.engine.student_side.serving import Server\n"
        "def fail(source): raise MemoryError()\n"
        "[side] = [one for one in gc.get_objects() if type(one) is Server]\nside._cells.run = fail"
    )
    assert student.run("x = 1").error == "MemoryError: "


def test_the_error_of_a_cell_has_no_lone_surrogates_whatever_raised_it(make_student):
    student = make_student("def fail(*_, **__): raise ValueError(chr(0xD800))\nget_ipython().run_cell = fail")
    assert student.run("x = 1").error == "ValueError: ?"


FORGED = """
import gc
from studium_graders.engine.student_side.serving import Server

[side] = [one for one in gc.get_objects() if type(one) is Server]
one = {{"output_type": "stream", "name": "stdout", "text": "x" * {length}}}
side._cells.run = lambda source: ([one] * {times}, "")
"""


@pytest.mark.parametrize(("length", "times"), [(10**6, 20), (0, 10**5)])
def test_more_output_than_a_cell_can_have_ends_the_student(make_student, length, times):
    student = make_student(FORGED.format(length=length, times=times), limits=Limits(output_kb=64))
    with pytest.raises(StudentGone) as gone:
        student.run("x = 1")
    assert gone.value.verdict == "broken protocol"


def test_the_outputs_of_a_notebook_are_kept_up_to_a_size(make_student):
    student = make_student(FORGED.format(length=2 * 10**6, times=1), limits=Limits(output_kb=256))
    sizes = [sum(len(output["text"]) for output in student.run("x = 1").outputs) for _ in range(40)]
    assert sizes[0] == 2 * 10**6
    assert sum(sizes) < MOST_SHOWN + 40 * 100
    assert "64 MB are kept of a notebook" in student.run("x = 1").outputs[0]["text"]
