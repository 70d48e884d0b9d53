"""Submissions out of the archives of Canvas and Moodle: all of the known students', or nothing."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook, Student
from studium_graders.lms import archive, collecting
from studium_graders.lms.archive import entries_of

from .conftest import submitted


def test_canvas_names_the_student_by_number_and_the_last_version_counts(course, collect):
    files = {
        "aa_71_900_lora.ipynb": "old",
        "aa_71_901_lora-2.ipynb": "newest",
        "aa_71_902_lora-1.ipynb": "new",
        "bb_LATE_72_903_lora (1).ipynb": "late",
        "bb_LATE_72_904_data.csv": "1",
        "zz_99_905_lora.ipynb": "stranger's",
        "readme.txt": "",
    }
    code, out, err = collect("canvas", files)
    assert (code, err) == (0, "")
    assert submitted(course) == {
        "ada/ps1/lora.ipynb": "newest",
        "bob/ps1/lora.ipynb": "late",
        "bob/ps1/data.csv": "1",
    }
    assert "2 submissions collected" in out
    assert "not of this course: zz (99)" in out
    assert "no submissions: readme.txt" in out
    assert "late in Canvas, but not here, since there is no timestamp.txt: bob" in out
    assert "nothing from" not in out


def test_an_archive_with_nobody_of_the_course_says_which_roster_is_needed(course, collect):
    code, _, err = collect("canvas", {"aa_71_1_lora.ipynb": "x"}, roster=False)
    assert (code, "aa (71) is not one; name --roster, the system's export of grades" in err) == (1, True)
    code, _, err = collect("canvas", {"zz_99_1_lora.ipynb": "x"})
    assert (code, "zz (99) is not one; name a --roster of this course" in err) == (1, True)
    assert submitted(course) == {}


def test_moodle_is_read_with_folders_and_without(course, collect):
    for number, between in enumerate(("/", "_/", "_", "_/sub/folder/", "/sub/")):
        name = f"Ada L._71_assignsubmission_file{between}my work.ipynb"
        code, _, err = collect("moodle", {name: f"hers {number}"}, "--replace")
        assert (code, err) == (0, "")
        assert submitted(course) == {"ada/ps1/lora.ipynb": f"hers {number}"}


def test_without_a_roster_a_students_id_is_the_number(course, collect):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.db.add(Student(id="71"))
        book.db.commit()
    assert collect("canvas", {"aa_71_1_lora.ipynb": "x"}, roster=False)[0] == 0
    assert set(submitted(course)) == {"71/ps1/lora.ipynb"}


def test_without_a_roster_the_numbers_of_canvas_are_those_of_the_class_list(course, collect, studium):
    canvas = str(course / "canvas.csv")
    assert studium("roster", "--course", str(course), "--from-canvas", canvas, "--yes")[0] == 0
    assert collect("canvas", {"aa_71_1_lora.ipynb": "x", "zz_99_1_lora.ipynb": "y"}, roster=False)[0] == 0
    assert submitted(course) == {"ada/ps1/lora.ipynb": "x"}


def test_a_roster_that_is_not_there_is_told_by_its_name(course, collect):
    (course / "canvas.csv").unlink()
    code, _, err = collect("canvas", {"aa_71_1_lora.ipynb": "x"})
    assert (code, "studium: the file of --roster must be readable: " in err, "fill in" in err) == (1, True, False)


def test_what_is_there_is_kept_unless_it_is_to_be_replaced_and_a_dry_run_writes_nothing(course, collect):
    out = collect("canvas", {"aa_71_1_lora.ipynb": "1"}, "--dry-run")[1]
    assert "1 submission would be collected" in out
    assert "nothing from: bob" in out
    assert "late in Canvas" not in out
    assert submitted(course) == {}
    collect("canvas", {"aa_71_1_lora.ipynb": "1"})
    _, out, _ = collect("canvas", {"aa_71_1_lora.ipynb": "2", "bb_72_1_lora.ipynb": "b"})
    assert "already there and kept (--replace takes the new ones): ada" in out
    assert submitted(course) == {"ada/ps1/lora.ipynb": "1", "bob/ps1/lora.ipynb": "b"}
    collect("canvas", {"aa_71_1_lora.ipynb": "3"}, "--replace")
    assert submitted(course)["ada/ps1/lora.ipynb"] == "3"


def test_a_notebook_whose_own_name_ends_in_a_number_keeps_it(course, collect):
    (course / "release" / "ps1" / "part-2.ipynb").write_text("{}")
    collect("canvas", {"aa_71_1_part-2.ipynb": "two", "aa_71_2_lora.ipynb": "one", "aa_71_3_extra.ipynb": "x"})
    assert submitted(course) == {
        "ada/ps1/part-2.ipynb": "two",
        "ada/ps1/lora.ipynb": "one",
        "ada/ps1/extra.ipynb": "x",
    }


def test_a_file_that_is_too_large_or_damaged_stops_all_and_nothing_is_written(course, collect, monkeypatch):
    monkeypatch.setattr(archive, "MOST_OF_ENTRY", 10)
    code, _, err = collect("canvas", {"aa_71_1_lora.ipynb": "fine", "bb_72_1_lora.ipynb": "x" * 11})
    assert (code, "bb_72_1_lora.ipynb is larger" in err, submitted(course)) == (1, True, {})
    monkeypatch.setattr(archive, "MOST", 3)
    assert "may unpack to at most" in collect("canvas", {"aa_71_1_lora.ipynb": "fine"})[2]
    (course / "all.zip").write_bytes((course / "all.zip").read_bytes()[:-40])
    code, _, err = _again(course, collect)
    assert (code, "must be a complete ZIP file" in err) == (1, True)
    assert [path.name for path in course.iterdir() if path.name.startswith(".collecting")] == []


def _again(course, collect):
    from studium.errors import StudiumError

    try:
        collecting.collect(course, "ps1", course / "all.zip", "canvas", None, replace=False, dry_run=False)
    except StudiumError as error:
        return 1, "", str(error)
    return 0, "", ""


def test_another_archive_an_unknown_assignment_and_no_archive_are_told(course, collect, studium):
    code, _, err = collect("canvas", {"lora.ipynb": ""})
    assert (code, "no file named the way Canvas names submissions" in err) == (1, True)
    code, _, err = studium("collect", "ps9", "--course", str(course), "--from-canvas", "x.zip")
    assert (code, "unknown assignment 'ps9'; did you mean 'ps1'?" in err) == (2, True)
    code, _, err = studium("collect", "ps1", "--course", str(course))
    assert (code, "name one archive" in err) == (2, True)


@given(st.sampled_from(["canvas", "moodle"]), st.text("a._-/\\7 ()", max_size=30))
def test_no_entry_leads_out_of_its_folder(tmp_path_factory, system, name):
    before = {"canvas": "aa_71_1_", "moodle": "A_71_assignsubmission_file_/"}[system]
    path = tmp_path_factory.mktemp("zip") / "all.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{before}{name}", "")
    with zipfile.ZipFile(path) as made:
        found = entries_of(made, system, ["lora.ipynb"])
    assert len(found.files) + len(found.reserved) + len(found.unread) + len(found.unusable) <= 1
    for entry in found.files:
        assert entry.key == "71"
        assert Path(entry.file).name == entry.file
        assert not entry.file.startswith(".")
