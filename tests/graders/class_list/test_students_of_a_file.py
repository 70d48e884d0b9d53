"""The students in a file: whatever another program writes, each row is a student or gets a sentence."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from studium_graders.class_list.students import ListedStudent
from studium_graders.lms.class_rows import students_of_file

WRITTEN = {
    "canvas": ("Student", "ID", "SIS Login ID", "Section"),
    "moodle": ("First name", "Last name", "Username", "Email address", "Groups"),
    "csv": ("id", "first_name", "last_name", "email", "section"),
}
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=15)
IDS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,8}[A-Za-z0-9]", fullmatch=True)
NAME = st.text(st.characters(categories=("L",)), min_size=1, max_size=8)


def file_of(folder, rows, mark=",", encoding="utf-8"):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark, lineterminator="\r\n").writerows(rows)
    path = folder.mktemp("list") / "list.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    return path


@given(
    st.lists(st.tuples(IDS, NAME, NAME, NAME), min_size=1, max_size=6, unique_by=lambda one: one[0].casefold()),
    st.sampled_from(list(WRITTEN)),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_students_come_out_as_they_were_written(tmp_path_factory, people, system, mark, encoding):
    rows = {
        "canvas": [
            (f"{last}, {first}", number, id_, section) for number, (id_, first, last, section) in enumerate(people)
        ],
        "moodle": [(first, last, id_, f"{first}@x", section) for id_, first, last, section in people],
        "csv": [(id_, first, last, f"{first}@x", section) for id_, first, last, section in people],
    }[system]
    found = students_of_file(file_of(tmp_path_factory, [WRITTEN[system], *rows], mark, encoding), system, {})
    assert found.problems == []
    assert [(one.id, one.first_name, one.last_name, one.section) for one in found.students] == people


@given(st.lists(st.lists(TEXT, max_size=7), max_size=6), st.sampled_from(list(WRITTEN)))
def test_any_table_gives_students_with_ids_of_their_own_or_sentences(tmp_path_factory, rows, system):
    there = {"ada": ListedStudent("ada", email="a@x")}
    try:
        found = students_of_file(file_of(tmp_path_factory, [WRITTEN[system], *rows]), system, there)
    except CourseError:
        return
    ids = [one.id.casefold() for one in found.students]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    assert all(sentence.startswith("line ") for sentence in found.problems)


@given(st.binary(max_size=60), st.sampled_from(list(WRITTEN)))
def test_any_bytes_are_a_list_or_one_sentence(tmp_path_factory, content, system):
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_bytes(content)
    with suppress(CourseError):
        students_of_file(path, system, {})
