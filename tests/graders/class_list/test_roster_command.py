"""`studium roster`: the class list comes from a file, what changes is shown first, and nobody's work is deleted."""

import errno
import json
from pathlib import Path

from studium_graders.class_list import updating
from studium_graders.results.store import write_whole

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,ps1 (4711)\n"
    "    Points Possible,,,,,4.2\n"
    '"Lovelace, Ada",71,,ada,L,\n'
    '"Noether, Emmy",72,,emmy,M,\n'
    '"Student, Test",73,,0a1b,L,\n'
)
PARTICIPANTS = (
    "First name,Last name,ID number,Email address,Groups\n"
    "Ada,Lovelace,ada,ada@x.example,L\n"
    "Emmy,Noether,emmy,emmy@x.example,M\n"
)
CSV = "id,first_name,last_name,email,section\nada,Ada,Lovelace,ada@x.example,L\nemmy,Emmy,Noether,emmy@x.example,M\n"


def people(out: str) -> dict[str, tuple]:
    fields = ("first_name", "last_name", "email", "section", "gone")
    return {one["id"]: tuple(one[name] for name in fields) for one in json.loads(out)}


def test_the_gradebook_export_of_canvas_becomes_the_class_list_without_its_test_student(roster, in_gradebook):
    code, out, err = roster("canvas", CANVAS, "--yes")
    assert (code, err) == (0, "")
    assert "added (2):\n  ada, Ada Lovelace, L\n  emmy, Emmy Noether, M\n" in out
    assert "left out (1):\n  Student, Test (line 5)\n" in out
    assert in_gradebook() == [("ada", "Ada", "Lovelace", None, "71"), ("emmy", "Emmy", "Noether", None, "72")]
    assert people(roster("", "", "--json")[1])["ada"] == ("Ada", "Lovelace", "", "L", None)


MOODLE = [
    (PARTICIPANTS, ("Ada", "Lovelace")),
    ("Vorname;Nachname;E-Mail-Adresse;Gruppen\nAda;Lovelace;ada@x.example;L\n", ("Ada", "Lovelace")),
    ("Identifier,Full name,Email address,Groups\nParticipant 7,Ada Lovelace,ada@x.example,L\n", ("", "Ada Lovelace")),
]


def test_participants_grades_and_worksheets_of_moodle_are_understood(roster, course):
    for text, names in MOODLE:
        assert roster("moodle", text, "--yes")[0] == 0
        listed = people(roster("", "", "--json")[1])
        assert listed.get("ada", listed.get("ada@x.example")) == (*names, "ada@x.example", "L", None)
        (course / "gradebook.db").unlink()
        (course / ".studium" / "class-list.json").unlink()


def test_a_second_run_has_nothing_to_do_and_writes_nothing(roster, course, modes):
    assert roster("csv", CSV, "--yes")[0] == 0
    assert modes(course / "gradebook.db") == modes(course / ".studium/class-list.json") == {("file", "0o600")}
    before = {path: path.stat().st_mtime_ns for path in (course / "gradebook.db", course / ".studium/class-list.json")}
    code, out, err = roster("csv", CSV)
    assert (code, out, err) == (0, "2 students as before: nothing to do\n", "")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_name_and_address_are_shown_and_written_and_empty_cells_change_nothing(roster):
    roster("csv", CSV, "--yes")
    code, out, _ = roster("csv", "id,first_name,last_name,email\nada,Ada,King,\nemmy,,,e.n@x.example\n", "--yes")
    assert code == 0
    assert "changed (2):\n  ada: last_name Lovelace → King\n  emmy: email emmy@x.example → e.n@x.example\n" in out
    assert people(roster("", "", "--json")[1]) == {
        "ada": ("Ada", "King", "ada@x.example", "L", None),
        "emmy": ("Emmy", "Noether", "e.n@x.example", "M", None),
    }


def test_who_is_gone_is_marked_and_kept_and_can_come_back(roster, in_gradebook):
    roster("csv", CSV, "--yes")
    code, out, _ = roster("csv", "id\nada\n", "--yes")
    assert (code, "gone: marked, and everything of theirs is kept (1):\n  emmy\n" in out) == (0, True)
    assert [row[0] for row in in_gradebook()] == ["ada", "emmy"]
    assert "1 student on the class list, and 1 gone" in roster()[1]
    assert roster("csv", "id\nada\n")[1] == "1 student as before: nothing to do\n"
    assert "back, after they were gone (1):\n  emmy\n" in roster("csv", CSV, "--yes")[1]
    assert people(roster("", "", "--json")[1])["emmy"] == ("Emmy", "Noether", "emmy@x.example", "M", None)


def test_students_whom_the_gradebook_knows_keep_their_ids_whatever_column_identifies_them(roster, in_gradebook):
    roster("csv", "id,email\n1815,ada@x.example\nemmy,\n", "--yes")
    code, out, _ = roster("moodle", "Username,Email address\nalovelace,ADA@x.example\nemmy,\n", "--yes")
    assert (code, "added" in out, "gone" in out) == (0, False, False)
    assert [row[0] for row in in_gradebook()] == ["1815", "emmy"]


def test_each_row_that_cannot_be_used_gets_a_sentence_with_its_line_and_nothing_is_written(roster, course):
    text = 'id,email\nada,\n"\n",\n,x@y\nADA,\n../x,\nzoe,y\nleo,l@x,surplus\nlong,' + "x" * 130 + "@y\n"
    code, out, err = roster("csv", text, "--yes")
    assert (code, out) == (1, "")
    assert [line.partition(" of ")[0] + line.partition("list.csv")[2] for line in err.splitlines()] == [
        "studium: line 5 has no id; fill it in, or choose another column with --id-column",
        "studium: line 6 is about ADA, as line 2 is; leave one of them in the file",
        "studium: line 7 has the id '../x', but an id may have only letters, digits and . _ @ + - and must begin with "
        "a letter or digit; choose another column with --id-column",
        "studium: line 8 has the e-mail address 'y' without an @; correct it",
        "studium: line 9 has 3 cells for 2 columns; put quotes around a cell that has a ',' in it",
        "studium: line 10 has control characters or more than 128 characters in email; correct it",
        "studium: nothing was written",
    ]
    assert not (course / "gradebook.db").exists()
    assert not (course / ".studium").exists()


def test_a_row_that_could_be_two_students_is_told(roster):
    roster("csv", "id,email\nada,ada@x.example\nemmy,emmy@x.example\n", "--yes")
    code, _, err = roster("moodle", "Username,Email address\nada,emmy@x.example\n", "--yes")
    assert (code, "line 2 of" in err, "belongs to ada and to emmy; correct the file" in err) == (1, True, True)


def test_a_dry_run_writes_nothing_and_neither_does_a_no(roster, course, monkeypatch):
    assert "added (2)" in roster("csv", CSV, "--dry-run")[1]
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    code, out, _ = roster("csv", CSV)
    assert (code, "added (2)" in out, out.endswith("nothing was written\n")) == (0, True, True)
    assert not (course / "gradebook.db").exists()
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert roster("csv", CSV)[1].endswith("the class list is up to date\n")


def test_a_program_gets_json_and_says_whether_to_write(roster, course):
    code, _, err = roster("csv", CSV, "--json")
    assert (code, "nobody can be asked with --json" in err) == (2, True)
    found = json.loads(roster("csv", CSV, "--json", "--dry-run")[1])
    assert [one["id"] for one in found["added"]] == ["ada", "emmy"]
    assert not (course / "gradebook.db").exists()
    assert json.loads(roster("csv", CSV, "--json", "--yes")[1]) == found
    assert json.loads(roster("csv", CSV, "--json", "--yes")[1])["unchanged"] == 2


AS_EXCEL = (
    CSV.encode("utf-16"),
    b"\xef\xbb\xbf" + CSV.replace(",", ";").replace("\n", "\r\n").encode(),
    b"\xff\xfe" + CSV.replace(",", "\t").encode("utf-16-le"),
    CSV.replace(",", ";").encode("utf-8-sig"),
)


def test_files_are_read_as_excel_writes_them(roster):
    assert roster("csv", CSV, "--yes")[0] == 0
    for content in AS_EXCEL:
        assert roster("csv", content, "--yes")[1] == "2 students as before: nothing to do\n"
    assert people(roster("", "", "--json")[1])["emmy"] == ("Emmy", "Noether", "emmy@x.example", "M", None)


def test_a_file_that_cannot_be_used_is_told_in_one_sentence(roster, tmp_path):
    for system, content, sentence in (
        ("csv", "id,name\nada,M\xfcller\n".encode("latin-1"), "a class list must be text in UTF-8 or UTF-16, but"),
        ("csv", "name,email\nA,a@x\n", "a class list needs a column with ids, such as id, student, user:"),
        ("canvas", "Student,ID,SIS Login ID\n", "a class list needs a column with ids"),
        ("csv", "id,email\n,\n", "a class list needs a column with ids"),
    ):
        code, out, err = roster(system, content, "--yes")
        assert (code, out, sentence in err, "Traceback" in err) == (1, "", True, False)


def test_another_column_can_have_the_ids_and_two_sources_are_refused(roster, in_gradebook, studium, course, tmp_path):
    assert roster("canvas", CANVAS.replace("71,,", "71,s1,").replace("72,,", "72,s2,"), "--yes", "--id-column",
                  "sis user id")[0] == 0  # fmt: skip
    assert [row[0] for row in in_gradebook()] == ["s1", "s2"]
    code, _, err = roster("csv", CSV, "--id-column", "Matrikel")
    assert (code, "such as matrikel:" in err) == (1, True)
    code, _, err = roster("csv", CSV, "--from-hub")
    assert (code, "name one source" in err) == (2, True)


def test_a_disk_that_is_full_leaves_gradebook_and_sections_as_they_were(roster, course, monkeypatch):
    roster("csv", CSV, "--yes")
    before = (course / ".studium/class-list.json").read_bytes()

    def full(path: Path, content: bytes) -> None:
        monkeypatch.setattr(updating, "write_whole", write_whole)
        write_whole(path, content)
        raise OSError(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr(updating, "write_whole", full)
    code, _, err = roster("csv", CSV.replace(",M", ",N").replace("Noether", "N"), "--yes")
    assert (code, "the disk is full" in err) == (1, True)
    assert (course / ".studium/class-list.json").read_bytes() == before
    assert people(roster("", "", "--json")[1])["emmy"][1] == "Noether"


def test_a_damaged_list_is_told_in_one_sentence(roster, course):
    roster("csv", CSV, "--yes")
    (course / ".studium/class-list.json").write_text('{"ada": {"sektion": "L"}}')
    code, _, err = roster()
    assert (code, "the class list must be as studium roster wrote it" in err, "import the list again" in err) == (
        1,
        True,
        True,
    )
