"""A sheet whose cells change singly: whatever was written by another program stays, byte for byte."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from studium_graders.lms.sheet import read_sheet

CELL = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\x85\u2028\u2029"), max_size=12
)
MARKS = st.sampled_from([",", ";", "\t"])
ENDS = st.sampled_from(["\n", "\r\n"])
ENCODINGS = st.sampled_from([("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe")])


@st.composite
def files(draw, least=0):
    """A file as another program writes it, with a row for ``least`` students or more: its bytes, its cells."""
    width = draw(st.integers(2, 4))
    rows = [
        [f"column {i}" for i in range(width)],
        *draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=least, max_size=5)),
    ]
    mark, end, (encoding, bom) = draw(MARKS), draw(ENDS), draw(ENCODINGS)
    text = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    csv.writer(text, delimiter=mark, lineterminator=end, quoting=quoting).writerows(rows)
    shown = text.getvalue()
    return bom + (shown if draw(st.booleans()) else shown.removesuffix(end)).encode(encoding), rows


@given(files())
def test_a_file_is_read_as_it_was_written_and_comes_back_byte_for_byte(tmp_path_factory, made):
    content, rows = made
    path = tmp_path_factory.mktemp("sheet") / "grades.csv"
    path.write_bytes(content)
    sheet = read_sheet(path)
    assert [[cell.value for cell in row] for row in sheet.rows] == rows
    assert sheet.content() == content


@given(files(least=1), CELL, st.data())
def test_only_the_cell_that_is_written_changes(tmp_path_factory, made, value, data):
    content, rows = made
    path = tmp_path_factory.mktemp("sheet") / "grades.csv"
    path.write_bytes(content)
    sheet = read_sheet(path)
    row, column = data.draw(st.integers(1, len(rows) - 1)), data.draw(st.integers(1, len(rows[0]) - 1))
    sheet.write(row, column, value)
    path.write_bytes(sheet.content())
    rows[row][column] = value
    assert [[cell.value for cell in line] for line in read_sheet(path).rows] == rows


NO_SHEET = {
    b"\xff\xfa\x00name,grade\n": "must be text in UTF-8 or UTF-16",
    b'name,grade\n"ada,3\n': "has an unmatched one in row 2",
    b"name\nada\n": "has only one",
    b"": "has only one",
}


def test_what_is_no_sheet_is_told_in_one_sentence(tmp_path: Path):
    path = tmp_path / "grades.csv"
    with pytest.raises(CourseError, match=r"must be readable: .*grades\.csv: No such file"):
        read_sheet(path)
    for content, sentence in NO_SHEET.items():
        path.write_bytes(content)
        with pytest.raises(CourseError, match=sentence):
            read_sheet(path)
    path.write_text("a,b,c\n1,2\n")
    with pytest.raises(CourseError, match="needs 3 columns: got 2 in row 2"):
        read_sheet(path).write(1, 2, "3")
