"""Marks into the sheets of Canvas and Moodle: only marks change, and what is not clear is refused.

The sheets follow the instructor guide of Canvas ("How do I import grades in the Gradebook?") and Moodle's documentation
("Offline grading worksheet"), the latter also as Moodle's German language pack names the columns.
"""

from pathlib import Path

import pytest
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from studium_graders.lms.filling import FORMS, Mark, fill
from studium_graders.lms.matching import Person

CANVAS = (
    'Student,ID,SIS User ID,SIS Login ID,Section,"ps1, attention (4711)",ps2 (4712),Current Score\r\n'
    "    Points Possible,,,,,10,20,(read only)\r\n"
    '"Lovelace, Ada",1,S1,ada@uni.example,Lab 1,,3.00,90\r\n'
    '"Babbage, Charles",2,S2,cb,Lab 1,7.5,,"=HYPERLINK(""http://x"")"\r\n'
    '"Student, Test",9,,,Lab 1,,,\r\n'
)
MOODLE = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments\n"
    'Participant 71,"Ada Lovelace",ada@uni.example,Submitted for grading,,10.00,Yes,"<p>Well, ""done""</p>"\n'
    "Participant 72,Charles Babbage,cb@uni.example,No submission,4.00,10.00,Yes,\n"
)
MOODLE_GERMAN = (
    "ID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;Feedback als Kommentar\n"
    "Teilnehmer/in71;Ada Lovelace;ada@uni.example;Zur Bewertung abgegeben;;10,00;\n"
    "Teilnehmer/in72;Charles Babbage;cb@uni.example;Keine Abgabe;4,00;10,00;\n"
)
ADA, CHARLES = Person("ada", "Ada@Uni.example"), Person("cb", "cb@uni.example")
NAMES = {"ps1": "ps1, attention"}


@pytest.fixture
def sheet(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "grades.csv"
        path.write_bytes(text.encode())
        return path

    return write


def marks(ada=8.25, charles=None, name="ps1", most=10.0):
    return [Mark(name, ADA, ada, most), Mark(name, CHARLES, charles, most)]


def test_canvas_gets_its_marks_and_keeps_every_other_byte(sheet):
    filled = fill(sheet(CANVAS), FORMS["canvas"], marks(charles=9.0), NAMES)
    expected = CANVAS.replace("Lab 1,,3.00", "Lab 1,8.25,3.00").replace("Lab 1,7.5,", "Lab 1,9,")
    assert filled.sheet.content() == expected.encode()
    assert [(c.student, c.old, c.new) for c in filled.changes] == [("ada", "", "8.25"), ("cb", "7.5", "9")]
    assert (filled.students, filled.others, filled.nothing) == ([], ["Student, Test (row 5)"], [])


def test_several_assignments_go_into_their_columns_at_once(sheet):
    filled = fill(sheet(CANVAS), FORMS["canvas"], [*marks(), *marks(20.0, 1.5, "ps2", 20.0)], NAMES)
    assert filled.nothing == ["cb for ps1"]  # who handed nothing in keeps what stands there
    expected = CANVAS.replace("Lab 1,,3.00", "Lab 1,8.25,20").replace("Lab 1,7.5,,", "Lab 1,7.5,1.5,")
    assert filled.sheet.content() == expected.encode()


def test_a_mark_that_is_there_already_is_no_change_however_it_is_spelt(sheet):
    filled = fill(sheet(CANVAS), FORMS["canvas"], marks(None, 3.0, "ps2", 20.0) + marks(3.0, None, "ps2", 20.0), {})
    assert [change.student for change in filled.changes] == ["cb"]


def test_moodle_gets_its_marks_in_the_sheets_own_language(sheet):
    for text, number in ((MOODLE, b"8.25"), (MOODLE_GERMAN, b"8,25")):
        filled = fill(sheet(text), FORMS["moodle"], marks(), {})
        before, after = text.encode().split(b"\n"), filled.sheet.content().split(b"\n")
        assert [line for line in range(len(before)) if before[line] != after[line]] == [1]
        assert number in after[1]
        assert after[1].replace(number, b"", 1) == before[1]


def test_another_maximum_is_refused_and_scaled_where_that_is_asked_for(sheet):
    path = sheet(CANVAS)
    with pytest.raises(CourseError, match=r"ps1 has 20 points in the course and 10 in .*--scale"):
        fill(path, FORMS["canvas"], marks(most=20.0), NAMES)
    filled = fill(path, FORMS["canvas"], marks(ada=15.0, most=20.0), NAMES, scale=True)
    assert [change.new for change in filled.changes] == ["7.5"]


def test_an_assignment_without_a_column_of_its_name_is_refused_with_the_columns_that_there_are(sheet):
    with pytest.raises(CourseError, match=r"needs one column for ps1: it has Student, ID.*--column"):
        fill(sheet(CANVAS), FORMS["canvas"], marks(), {})
    twice = CANVAS.replace("ps2 (4712)", '"ps1, attention (4712)"')
    with pytest.raises(CourseError, match="two columns have it"):
        fill(sheet(twice), FORMS["canvas"], marks(), NAMES)
    with pytest.raises(CourseError, match="needs one column for ps9"):
        fill(sheet(MOODLE), FORMS["moodle"], [*marks(), *marks(name="ps9")], {"ps1": "Grade"})


def test_a_row_that_could_be_of_two_students_and_a_student_with_two_rows_are_refused(sheet):
    with pytest.raises(CourseError, match=r"row 3 of .* belongs to ada and to cb"):
        fill(sheet(CANVAS.replace("S1,ada@uni.example", "cb,ada@uni.example")), FORMS["canvas"], marks(), NAMES)
    with pytest.raises(CourseError, match=r"ada has row 3 and row 5"):
        fill(sheet(CANVAS.replace("9,,,Lab", "9,ada,,Lab")), FORMS["canvas"], marks(), NAMES)


def test_an_address_of_two_students_says_nothing(sheet):
    twin = Person("twin", "ada@uni.example")
    filled = fill(sheet(MOODLE), FORMS["moodle"], [*marks(), Mark("ps1", twin, 1.0, 10.0)], {})
    assert filled.students == ["ada", "twin"]
    assert filled.changes == []


def test_a_sheet_that_does_not_say_who_is_who_is_refused(sheet):
    with pytest.raises(CourseError, match="needs a column that identifies the student in each row"):
        fill(sheet("Name,ps1\nAda,3\n"), FORMS["canvas"], marks(), {})
