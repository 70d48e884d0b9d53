"""What a student's process may send in answer to a cell: outputs that are none, too many, or of odd text."""

import pytest
from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import StudentGone
from studium_graders.engine.remote.cell_replies import MOST_SHOWN
from studium_graders.engine.remote.tags import Tag

from .liar import Liar, reply


@pytest.mark.parametrize(
    "said",
    [
        7,
        [Tag.LIST, [Tag.LIST], ""],
        [Tag.LIST, [Tag.LIST], "", [Tag.DICT, 1, 2]],
        [Tag.LIST, 5, "", [Tag.NAMED]],
        [Tag.LIST, [Tag.LIST], 5, [Tag.NAMED]],
        [Tag.LIST, [Tag.LIST, [Tag.DICT, "text", [Tag.MINE, 1, "function", ["f", "f", None, None]]]], "", [Tag.NAMED]],
        [Tag.LIST, [Tag.LIST, [Tag.DICT, "text", [Tag.TEXT, b"\xed\xb0\x80"]]], "", [Tag.NAMED]],
    ],
)
def test_what_is_no_answer_to_a_cell_ends_the_student_and_not_the_judge(said):
    liar = Liar(reply(said))
    with pytest.raises(StudentGone) as gone:
        liar.student.run("x = 1")
    assert gone.value.verdict == "broken protocol"
    with pytest.raises(StudentGone):
        liar.student.run("x = 2")
    liar.there.close()


def test_a_cell_whose_running_itself_fails_has_that_for_its_error(make_student):
    student = make_student(
        "import gc\nfrom studium_graders.engine.remote.student import StudentSide\n"
        "def fail(source): raise MemoryError()\n"
        "[side] = [one for one in gc.get_objects() if type(one) is StudentSide]\nside.cells.run = fail"
    )
    assert student.run("x = 1").error == "MemoryError: "
    assert student.get("fail")


def test_the_error_of_a_cell_has_no_lone_surrogates_whatever_raised_it(make_student):
    student = make_student("def fail(*_, **__): raise ValueError(chr(0xD800))\nget_ipython().run_cell = fail")
    assert student.run("x = 1").error == "ValueError: ?"


FORGED = """
import gc
from studium_graders.engine.remote.student import StudentSide

[side] = [one for one in gc.get_objects() if type(one) is StudentSide]
one = {{"output_type": "stream", "name": "stdout", "text": "x" * {length}}}
side.cells.run = lambda source: ([one] * {times}, "")
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
