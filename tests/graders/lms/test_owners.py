"""Whose an entry of an archive is: what a student may choose, a file's name or the own one, makes it nobody else's."""

import io
import json
import re
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("nbgrader")

from studium_graders.lms.archive import entries_of
from studium_graders.lms.owners import Owners, Unclear, owners_of

from .conftest import submitted

NUMBERS = {"71": "ada", "72": "bob", "5": "eve", "98": ""}
PIECES = ["_", "_", "72", "5", "98", "900", "71", "LATE", "assignsubmission", "file", "_assignsubmission_file_", "-9"]
PIECES += [".", " ", "x", "Ada", "lora.ipynb", "timestamp.txt", "submission_secret.txt"]
chosen = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join)


def owners(system: str, *names: str) -> Owners:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    with zipfile.ZipFile(made) as archive:
        return owners_of(entries_of(archive, system, ["lora.ipynb"]), system, NUMBERS)


def canvas(name: str, key: str, file: str, *, late: bool = False) -> str:
    """An entry as Canvas names it: of a person's name it leaves letters, digits and underscores."""
    name = re.sub(r"\W", "", re.sub(r"_(\d+)_", r"\1", name).lower())
    return f"{name}_{'LATE_' if late else ''}{key}_900_{file}"


def moodle(name: str, key: str, file: str, between: str = "_") -> str:
    """An entry as Moodle names it: a person's name has no underscore and no slash."""
    return f"{re.sub('[_/]', ' ', name)}_{key}_assignsubmission_file{between}{file}"


def of(found: Owners) -> set[str]:
    """The students whose the entries are."""
    return set(found.mine)


@given(chosen, st.booleans())
@example("x_72_1_lora-9.ipynb", False)
def test_a_file_name_that_a_student_chose_in_canvas_makes_it_nobody_elses(file, late):
    found = owners("canvas", canvas("Lovelace, Ada", "71", file, late=late))
    assert of(found) <= {"ada"}
    if not re.search(r"_(LATE_)?(72|5|98)_\d+_", f"_{file}"):
        assert found.unclear == []


@given(chosen, st.sampled_from(["/", "_/", "_", "_/sub/", "_/x_72_assignsubmission_file_/"]))
@example("x_72_assignsubmission_file_lora-9.ipynb", "_")
def test_a_file_name_that_a_student_chose_in_moodle_makes_it_nobody_elses(file, between):
    found = owners("moodle", moodle("Ada L.", "71", file, between))
    assert of(found) <= {"ada"}
    if "/" in between:
        assert found.unclear == []


@given(chosen, chosen)
@example("Bob_ 72_ 1", "lora.ipynb")
@example("_72_", "lora.ipynb")
def test_a_name_that_a_student_gave_themselves_makes_nothing_somebody_elses(name, file):
    assert of(owners("canvas", canvas(name, "71", file))) <= {"ada"}
    assert of(owners("moodle", moodle(name, "71", file))) <= {"ada"}
    assert of(owners("canvas", canvas(name, "98", file))) == set()


@given(st.text("abcxyz0123456789_-. ()", min_size=1, max_size=30).map(lambda file: f"{file}.ipynb"))
def test_an_honest_file_name_stays_its_students_unless_it_has_the_number_of_another_one(file):
    found = owners("canvas", canvas("Lovelace, Ada", "71", file))
    if not re.search(r"_(72|5|98)_\d+_", f"_{file}"):
        assert (of(found) == {"ada"}) is (not file.startswith("."))
        assert found.unclear == []


MAY_BE_OF_TWO = [
    ("canvas", "mallory_71_900_x_72_1_lora.ipynb", ["ada", "bob"]),
    ("canvas", "bob_72_1_71_900_lora.ipynb", ["ada", "bob"]),
    ("canvas", "stranger_99_900_x_72_1_lora.ipynb", ["bob"]),
    ("canvas", "bob_72_1_98_900_lora.ipynb", ["bob"]),
    ("canvas", "doe_jra_71_900_lora.ipynb", ["ada"]),
    ("moodle", "Mallory_71_assignsubmission_file_x_72_assignsubmission_file_lora-9.ipynb", ["ada", "bob"]),
    ("moodle", "Default group_assignsubmission_file_x_72_assignsubmission_file_lora.ipynb", ["bob"]),
    ("moodle", "Default group_assignsubmission_file/x_72_assignsubmission_file_/lora.ipynb", ["bob"]),
    ("moodle", "M_71_assignsubmission_git_x_72_assignsubmission_file_lora.ipynb", ["bob"]),
]


def test_an_entry_that_may_be_of_two_students_is_nobodys_and_says_whose_it_may_be():
    for system, name, students in MAY_BE_OF_TWO:
        found = owners(system, name)
        assert (found.mine, found.unclear) == ({}, [Unclear(name, students)])


HONEST = [
    ("canvas", "lovelaceada_71_900_2026_12_08_lora.ipynb"),
    ("canvas", "lovelaceada_LATE_71_900_lora_123_456_final.ipynb"),
    ("canvas", "submissions/lovelaceada_71_900_lora.ipynb"),
    ("canvas", "72_71_900_lora.ipynb"),
    ("canvas", "lovelaceada_71_900_again_71_900_lora.ipynb"),
    ("moodle", "Ada L._71_assignsubmission_file_my_lora_72.ipynb"),
    ("moodle", "Ada L._71_assignsubmission_file_/x_72_assignsubmission_file_/lora.ipynb"),
    ("moodle", "Ada L._71_assignsubmission_file/x_72_assignsubmission_file_lora.ipynb"),
]


def test_what_honest_students_call_their_files_stays_theirs():
    for system, name in HONEST:
        found = owners(system, name)
        assert (of(found), found.unclear) == ({"ada"}, []), name


def test_a_students_file_takes_the_place_of_no_other_students_and_the_command_says_so(course, collect):
    bobs = "B_72_assignsubmission_file_lora.ipynb"
    attack = "A_71_assignsubmission_file_x_72_assignsubmission_file_lora-9.ipynb"
    code, out, err = collect("moodle", {bobs: "bob's", attack: "mallory's"})
    assert (code, err, submitted(course)) == (0, "", {"bob/ps1/lora.ipynb": "bob's"})
    assert "not collected, since the file name does not show for certain whose it is: 1\n" in out
    assert f"  {attack} (perhaps of ada or of bob)\n" in out
    code, out, _ = collect("moodle", {bobs: "bob's", attack: "mallory's"}, "--json")
    assert json.loads(out)["unclear"] == [{"name": attack, "students": ["ada", "bob"]}]
    assert json.loads(out)["missing"] == ["ada"]


def test_every_entry_of_nobody_is_listed_however_many_there_are(course, collect):
    code, out, _ = collect("canvas", {f"doe_jra_71_{number}_lora.ipynb": "" for number in range(30)})
    assert (code, submitted(course), out.count("(perhaps of ada)")) == (0, {}, 30)
    assert "nothing from: ada, bob" in out


def test_somebody_of_the_roster_who_is_not_of_the_course_cannot_pass_for_a_student(course, collect):
    with (course / "canvas.csv").open("a") as roster:
        roster.write("Z,98,,zed,L,\n")
    _, out, _ = collect("canvas", {"b_72_1_98_900_lora.ipynb": "zed's", "a_71_900_lora.ipynb": "ada's"})
    assert submitted(course) == {"ada/ps1/lora.ipynb": "ada's"}
    assert "  b_72_1_98_900_lora.ipynb (perhaps of bob)\n" in out


def test_a_student_hands_no_file_in_whose_name_only_the_course_writes(course, collect):
    for system, before, name in (
        ("canvas", "a_71_900_", "timestamp.txt"),
        ("canvas", "a_71_900_", "TimeStamp.TXT"),
        ("moodle", "A_71_assignsubmission_file_/", "submission_secret.txt"),
    ):
        notebook, own = f"{before}lora.ipynb", f"{before}{name}"
        code, out, _ = collect(system, {notebook: "x", own: "2001-01-01 00:00:00 UTC"}, "--replace")
        assert (code, submitted(course)) == (0, {"ada/ps1/lora.ipynb": "x"})
        assert f"left out, since only the course may write files with these names: {own}\n" in out


def test_a_name_in_an_archive_steers_no_terminal(collect):
    odd = (
        "\x1b[2J_72_900_x.ipynb",
        "z_72_900_\x1b[2J.ipynb",
        "\x1b[2Jx",
        "z_98_900_x_72_1_\x1b.ipynb",
        "\nnothing from: bob",
    )
    _, out, _ = collect("canvas", {"a_71_900_lora.ipynb": "", **dict.fromkeys(odd, "")})
    assert "\x1b" not in out
    assert "\nnothing from" not in out
