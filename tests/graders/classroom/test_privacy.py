"""One person's data: exported whole, erased whole, and nobody else's touched, however often and whenever stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.classroom.messages import CheckAnswer, CheckedExercise
from studium.cli.app import build_app
from studium.exercises.sources import solved
from studium_classroom.audit import renamed
from studium_classroom.classroom import Classroom
from studium_classroom.commands import student as command
from studium_classroom.privacy.erasing import erase_person, held_about
from studium_classroom.privacy.person import Holdings, holdings
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import Graded, GradedOutcome
from studium_graders.assignments.building import build_assignment
from studium_graders.class_list.students import FILE as CLASS_LIST
from studium_graders.course.amounts import Amount
from studium_graders.course.course_file import read_course
from studium_graders.grading.late.accommodating import add
from studium_graders.grading.late.extensions import extend, until_of
from typer.testing import CliRunner

from .conftest import ASSIGNMENTS, join

C, A = "course101", "ps1"
ZOE, OTHERS = "zoe", ("zo", "zoe2", "zoe-b", "Zoe")
PLACES = ["course server", "submitted", "autograded", "feedback", "results", "history", "course files", "gradebook"]


@pytest.fixture(scope="module")
def whole_term(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    """A graded course with its server, which knows five students whose ids resemble one another."""
    root: Path = make_course(ASSIGNMENTS)
    build_assignment(root, A, by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for name in (ZOE, *OTHERS):
        submit(root, name, {"counting": right}, "2026-02-20 10:00:00 UTC")
        extend(root, name, A, until_of("2099-03-05T12:00"), f"{name} is ill")
    add(root, {ZOE: Amount(25, "%"), "zoe2": Amount(2, "days")})
    for words in (["grade", A, "--executor", "by-hand"], ["feedback", A]):
        done = CliRunner().invoke(build_app(by_hand), [*words, "--course", str(root)])
        assert done.exit_code == 0, done.output
    (root / CLASS_LIST).write_text(json.dumps({name: {"section": f"section of {name}"} for name in (ZOE, *OTHERS)}))
    serve_term(root)
    return root


def serve_term(root: Path) -> None:
    """Let a server of the course take in, check and mark; zoe and zoe2 hand in the same archive."""
    classroom = Classroom([root], root / ".studium" / "classroom")
    for name in (ZOE, *OTHERS):
        join(classroom, C, name, Place(Role.STUDENT, "a"))
        classroom.members.invite(C, name, Place(Role.STUDENT, "a"))
        same = b"the same archive" if name in (ZOE, "zoe2") else name.encode()
        for archive in (same, f"second of {name}".encode()):
            classroom.submissions.take(C, A, name, archive, datetime.now(UTC), late=False)
        classroom.checks.note(C, A, name, CheckAnswer("counting", [CheckedExercise("total", "wrong")]), {})
        classroom.audit.note(C, name, "submit", f"{A} attempt 1")
        for subject in (
            f"{name} as student",
            f"{A} attempt 1 of {name}",
            f"/api/courses/{C}/assignments/{A}/received/{name}/1",
        ):
            classroom.audit.note(C, "tom", "invite", subject)
    batch = classroom.submissions.next_batch(C, A, 99)
    right = {"counting.total": GradedOutcome("right")}
    marks = [
        Graded(row.user, 4.0, 5.0, pages={"counting": f"<h1>{row.user}</h1>".encode()}, exercises=right)
        for row in batch
    ]
    classroom.submissions.note(batch, marks, datetime.now(UTC))
    for name in (ZOE, *OTHERS):
        classroom.regrades.ask(C, A, name, 2, f"{name} asks for a regrade", datetime.now(UTC))
    classroom.database.close()


@pytest.fixture
def term(whole_term: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole_term, tmp_path / "course"))


@pytest.fixture
def student(by_hand: Catalogue, term: Path) -> Callable[..., tuple[int, str, str]]:
    """student("erase", "zoe") → exit code, standard output, and the sentence of an error or standard error."""

    def run(*words: str, course: Path = term) -> tuple[int, str, str]:
        done = CliRunner(env={"COLUMNS": "200"}).invoke(
            build_app(by_hand), ["student", *words, "--course", str(course)], input="n\n"
        )
        failed = done.exception and not isinstance(done.exception, SystemExit)
        return done.exit_code, done.stdout, str(done.exception) if failed else done.stderr

    return run


def everything(held: Holdings, person: str) -> dict[str, bytes]:
    """All that is held about a person, by path."""
    items = [item for place in held.places for item in place.items(person)]
    assert len({item.path for item in items}) == len(items)
    return {one.path: one.content if isinstance(one.content, bytes) else one.content.read_bytes() for one in items}


def everybody(root: Path) -> dict[str, dict[str, bytes]]:
    with holdings(root) as held:
        return {name: everything(held, name) for name in OTHERS}


def files_with(root: Path, text: bytes) -> list[str]:
    """The files that contain a text, or have it in their name."""
    paths = [path for path in root.rglob("*") if path.is_file()]
    return [str(path.relative_to(root)) for path in paths if text in os.fsencode(path) or text in path.read_bytes()]


def test_an_export_has_every_place_and_says_what_each_file_is(student, tmp_path, modes):
    code, out, _ = student("export", ZOE, "--into", str(tmp_path / "zoe.zip"), "--json")
    assert code == 0
    with zipfile.ZipFile(tmp_path / "zoe.zip") as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest == json.loads(out)
    assert (manifest["student"], manifest["course"]) == (ZOE, C)
    assert {one["path"] for one in manifest["files"]} == files.keys()
    assert all(one["what"] for one in manifest["files"])
    for name in ("submitted", "autograded"):
        assert f"{name}/zoe/ps1/counting.ipynb" in files
    assert b"<html" in files["feedback/zoe/ps1/counting.html"]
    assert json.loads(files["results/ps1.json"])["student"] == ZOE
    assert json.loads(files["history.json"])[0]["results"]
    book = json.loads(files["gradebook.json"])
    assert [row["assignment"] for row in book["submitted_assignment"]] == [A]
    assert all(row["cell"] for row in book["grade"])
    more = json.loads(files["course-files.json"])
    assert (more["accommodation"], [one["reason"] for one in more["extensions"]]) == ("+25 %", ["zoe is ill"])
    assert more["class_list"] == {"section": "section of zoe"}
    receipts = json.loads(files["server/receipts.json"])
    assert [(one["student"], one["attempt"], bool(one["signature"])) for one in receipts] == [
        (ZOE, 1, True),
        (ZOE, 2, True),
    ]
    assert files["server/ps1/attempt-1.zip"] == b"the same archive"
    assert files["server/ps1/attempt-2/counting.html"] == b"<h1>zoe</h1>"
    rows = json.loads(files["server/rows.json"])
    assert {name for name, found in rows.items() if found} >= {"member", "submission", "check", "graded_exercise"}
    assert not [row for name in ("access_token", "invitation") for row in rows[name] if "sha256" in row]
    assert len(json.loads(files["server/log.json"])) == 4
    assert modes(tmp_path / "zoe.zip") == {("file", "0o600")}


def test_an_export_has_nothing_of_anybody_whose_id_begins_in_the_same_way(student, tmp_path):
    student("export", ZOE, "--into", str(tmp_path / "zoe.zip"))
    with zipfile.ZipFile(tmp_path / "zoe.zip") as opened:
        content = b"\n".join(
            [opened.read(name) for name in opened.namelist()] + [name.encode() for name in opened.namelist()]
        )
    assert not [name for name in ("zoe2", "zoe-b", "Zoe") if name.encode() in content]
    assert student("export", ZOE, "--into", str(tmp_path / "zoe.zip"))[2].startswith("an export must be a new file")


def test_erasing_removes_a_person_from_every_place_and_leaves_the_others_as_they_were(student, term):
    before, course = everybody(term), read_course(term)
    code, out, _ = student("erase", ZOE, "--yes", "--json")
    done = json.loads(out)
    assert (code, done["erased"], [one["place"] for one in done["held"]]) == (0, True, PLACES)
    assert {type(number) for one in done["held"] for number in one["counts"].values()} == {int}
    with holdings(term) as held:
        assert everything(held, ZOE) == {}
    assert everybody(term) == before
    assert [one for one in course.extensions if one.student != ZOE] == list(read_course(term).extensions)
    assert not [path for path in term.rglob("*") if path.name.startswith("zoe.") or path.name == "zoe"]
    assert student("erase", ZOE, "--yes")[2].startswith("nothing is held about 'zoe'")  # a second run changes nothing
    assert everybody(term) == before


def test_no_file_has_the_id_of_somebody_who_was_erased(student, term):
    assert {Path(name).name for name in files_with(term, b"zoe-b")} >= {"gradebook.db", "classroom.db", "history.db"}
    with closing(sqlite3.connect(term / "gradebook.db")) as book:  # SQLite may keep what was deleted before
        book.executescript("pragma secure_delete = off; insert into student (id) values ('zoe-b, formerly')")
        book.executescript("pragma secure_delete = off; delete from student where id = 'zoe-b, formerly'")
    assert b"zoe-b, formerly" in (term / "gradebook.db").read_bytes()
    student("erase", "zoe-b", "--yes")
    assert files_with(term, b"zoe-b") == []


def test_a_file_that_two_people_handed_in_stays_until_the_second_is_erased(student, term):
    blobs = term / ".studium" / "classroom" / "blobs"
    student("erase", ZOE, "--yes")
    assert [path.read_bytes() for path in blobs.rglob("*") if path.is_file()].count(b"the same archive") == 1
    student("erase", "zoe2", "--yes")
    left = [path.read_bytes() for path in blobs.rglob("*") if path.is_file()]
    assert b"the same archive" not in left
    assert left


def test_the_log_keeps_what_was_done_under_a_made_up_name(student, term):
    student("erase", ZOE, "--yes")
    classroom = Classroom([term], term / ".studium" / "classroom")
    log = classroom.audit.of(C)
    classroom.database.close()
    done = [one for one in log if one.action != "erase" and "erased-" in f"{one.user} {one.subject}"]
    (alias,) = {one.subject for one in log if one.action == "erase"}
    assert sorted((one.user, one.subject) for one in done) == sorted(
        [
            (alias, "ps1 attempt 1"),
            ("tom", f"{alias} as student"),
            ("tom", f"ps1 attempt 1 of {alias}"),
            ("tom", f"/api/courses/{C}/assignments/{A}/received/{alias}/1"),
        ]
    )


def test_a_line_of_the_log_that_has_the_same_word_stays():
    for person in ("ps1", "attempt", "1", "of", "api", "student"):
        for subject in ("ps1 attempt 1 of zoe", "zoe as student", f"/api/courses/{C}/assignments/ps1/received/zoe/1"):
            assert renamed(subject, person, "erased") == subject
        assert renamed("ps1 attempt 1", person, "erased") == "ps1 attempt 1"
        own = "{} ps1 until 2026-03-10T12:00"
        assert renamed(own.format(person), person, "erased") == own.format("erased")


def test_without_agreement_nothing_is_erased(student, term, monkeypatch):
    before = sorted(
        (path, path.read_bytes()) for path in term.rglob("*") if path.is_file() and "classroom" not in str(path)
    )
    code, out, err = student("erase", ZOE)
    assert (code != 0, "needs --yes where nobody can be asked" in err) == (True, True)
    assert all(place in out for place in PLACES)
    assert json.loads(student("erase", ZOE, "--json")[1])["erased"] is False
    monkeypatch.setattr(command, "sys", types.SimpleNamespace(stdin=types.SimpleNamespace(isatty=lambda: True)))
    code, out, _ = student("erase", ZOE)
    assert (code, out.splitlines()[-1]) == (0, "nothing was erased")
    after = sorted(
        (path, path.read_bytes()) for path in term.rglob("*") if path.is_file() and "classroom" not in str(path)
    )
    assert after == before


def test_a_person_whom_nobody_knows_gets_one_sentence(student, term, tmp_path):
    for words in (("export", "--into", str(tmp_path / "x.zip")), ("erase", "--yes")):
        for person in ("zoee", "quentin", "", ".."):
            code, _, said = student(words[0], person, *words[1:])
            assert code != 0
            nothing = f"nothing is held about {person!r} in {C}, the course in {term}"
            meant = ["; did you mean 'zoe'?", "; did you mean 'zoe2'?"] if person == "zoee" else [""]
            assert said in [nothing + one for one in meant]
    assert not (tmp_path / "x.zip").exists()


STAGES = ["after a blob", "in a folder", "at a commit"]
MORE_STAGES = [stage for place in PLACES if (stage := f"before {place}") not in STAGES]
SCRIPT = """
import os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from studium_classroom.blobs import Blobs
from studium_classroom.privacy import erasing
from studium_classroom.privacy.person import holdings

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def killed(root, stage):
    with holdings(Path(root)) as held:
        for place in held.places:
            if stage == f"before {place.name}":
                place.erase = die
        if stage == "after a blob":
            whole = Blobs.remove
            Blobs.remove = lambda self, name: (whole(self, name), die())
        if stage == "in a folder":
            def some(place):
                next(path for path in sorted(Path(place).rglob("*")) if path.is_file()).unlink()
                die()
            shutil.rmtree = some
        if stage == "at a commit":
            event.listen(Engine, "commit", die)
        if stage == "before rewriting":
            erasing.rewrite = die
        erasing.erase_person(held, sys.argv[1])

for root, stage in zip(sys.argv[2::2], sys.argv[3::2]):
    child = os.fork()
    if not child:
        try:
            killed(root, stage)
        finally:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is Unix's")
@pytest.mark.parametrize("stages", [STAGES, pytest.param(MORE_STAGES, marks=pytest.mark.heavy)], ids=["some", "others"])
def test_an_erasure_that_was_killed_at_any_point_is_finished_by_a_second_run(whole_term, tmp_path, stages):
    roots = {stage: shutil.copytree(whole_term, tmp_path / str(n)) for n, stage in enumerate(stages)}
    before = everybody(whole_term)
    words = [str(word) for stage, root in roots.items() for word in (root, stage)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ZOE, *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(stages), done.stderr
    for stage, root in roots.items():
        with holdings(root) as held:
            assert held_about(held, ZOE), stage
            everything(held, ZOE)  # what is left can still be exported
            erase_person(held, ZOE)
            assert everything(held, ZOE) == {}, stage
        assert everybody(root) == before, stage
        assert not [path for path in root.rglob("zoe") if path.name == "zoe"], stage


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is Unix's")
def test_what_a_killed_erasure_left_in_the_files_of_databases_goes_with_the_next_run(student, term):
    words = [sys.executable, "-c", SCRIPT, "zoe-b", str(term), "before rewriting"]
    assert (
        subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout == f"{-signal.SIGKILL}\n"
    )
    assert files_with(term, b"zoe-b") != []
    assert student("erase", "zoe-b")[2].startswith("nothing is held about 'zoe-b'")
    assert files_with(term, b"zoe-b") == []


def test_a_course_without_a_server_is_told_where_else_to_look(student, term):
    shutil.rmtree(term / ".studium" / "classroom")
    code, out, err = student("erase", ZOE, "--yes", "--json")
    assert code == 0
    assert [one["place"] for one in json.loads(out)["held"]] == PLACES[1:]
    assert "name the folder of its classroom.toml with --course" in err
    assert not (term / ".studium" / "classroom").exists()


def test_on_a_server_of_two_courses_only_the_one_that_is_named_forgets(student, term, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "course.toml").write_text('id = "other"\n')
    (tmp_path / "classroom.toml").write_text(f'courses = ["{term}", "{other}"]\ndata = "course/.studium/classroom"\n')
    both = Classroom([term, other], term / ".studium" / "classroom")
    both.submissions.take("other", A, ZOE, f"second of {ZOE}".encode(), datetime.now(UTC), late=False)
    both.database.close()
    assert "name one with --id" in student("erase", ZOE, "--yes", course=tmp_path)[2]
    assert student("erase", ZOE, "--yes", "--id", C, course=tmp_path)[0] == 0
    both = Classroom([term, other], term / ".studium" / "classroom")
    assert both.submissions.attempts(C, [ZOE]) == {}
    ((row,),) = both.submissions.attempts("other", [ZOE]).values()
    assert both.submissions.archive(row) == b"second of zoe"
    both.database.close()


def test_a_person_goes_from_an_archive_that_is_restored_and_written_again(student, term, tmp_path, by_hand):
    def classroom(*words: str) -> None:
        done = CliRunner().invoke(build_app(by_hand), ["classroom", *words])
        assert done.exit_code == 0, done.output

    def content(archive: Path) -> bytes:
        with zipfile.ZipFile(archive) as opened:
            return b"\n".join([name.encode() + opened.read(name) for name in opened.namelist()])

    classroom("archive", "--course", str(term), "--into", str(tmp_path / "old.zip"))
    classroom("restore", str(tmp_path / "old.zip"), "--into", str(tmp_path / "again"))
    assert student("erase", "zoe-b", "--yes", course=tmp_path / "again")[0] == 0
    classroom("archive", "--course", str(tmp_path / "again"), "--into", str(tmp_path / "new.zip"))
    assert [b"zoe-b" in content(tmp_path / f"{name}.zip") for name in ("old", "new")] == [True, False]
    classroom("restore", str(tmp_path / "new.zip"), "--into", str(tmp_path / "last"))
    assert "zoe" in {one["user"] for one in json.loads(student_rows(tmp_path / "last"))}


def student_rows(root: Path) -> bytes:
    """The members of a course on its server, as JSON."""
    done = CliRunner().invoke(build_app(load_catalogue()), ["classroom", "roster", "--course", str(root), "--json"])
    return done.stdout.encode()


TABLE = '[[extensions]]\nstudent = "{}"\nassignment = "ps1"\nuntil = 2099-01-01T00:00:00\n\n'
PS1, PS2 = '[[assignments]]\nname = "ps1"  # first\ndue = 2098-01-01T00:00:00\n\n', '[[assignments]]\nname = "ps2"\n\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([PS1, TABLE.format("zoe"), PS2, TABLE.format("zoe2"), TABLE.format("zoe")], [PS1, PS2, TABLE.format("zoe2")]),
        ([PS1, TABLE.format("zoe"), PS2], [PS1, PS2]),
        (['extensions = [{student = "zoe", assignment = "ps1", until = 2099-01-01T00:00:00}]\n', PS1], [PS1]),
    ],
    ids=["between other tables", "the only one", "in brackets"],
)
def test_extensions_go_from_the_course_file_however_they_are_written_and_the_rest_stays(tmp_path, before, after):
    head = '# my course\nid = "c"\n\n'
    (tmp_path / "course.toml").write_text(head + "".join(before))
    with holdings(tmp_path) as held:
        erase_person(held, ZOE)
    assert (tmp_path / "course.toml").read_text().split() == (head + "".join(after)).split()


def test_links_are_neither_followed_nor_left(student, term, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("not the student's")
    (term / "submitted" / ZOE / A / "link.txt").symlink_to(secret)
    shutil.rmtree(term / "feedback" / ZOE)
    (term / "feedback" / ZOE).symlink_to(tmp_path)
    with holdings(term) as held:
        found = everything(held, ZOE)
    assert found["submitted/zoe/ps1/link.txt.link"] == str(secret).encode()
    assert not [path for path, content in found.items() if b"not the student's" in content]
    assert student("erase", ZOE, "--yes")[0] == 0
    assert secret.read_text() == "not the student's"
    assert not (term / "feedback" / ZOE).is_symlink()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "structure", ["{nbgrader_step}/{assignment_id}/{student_id}", "{nbgrader_step}/{student_id}+{assignment_id}"]
)
def test_folders_are_found_in_any_structure_that_nbgrader_allows(term, structure):
    with (term / "nbgrader_config.py").open("a") as file:
        file.write(f"\nget_config().CourseDirectory.directory_structure = {structure!r}\n")
    for step in ("submitted", "autograded", "feedback"):
        shutil.rmtree(term / step)
        for name in (ZOE, *OTHERS):
            folder = term / structure.format(nbgrader_step=step, student_id=name, assignment_id=A)
            folder.mkdir(parents=True)
            (folder / "x.txt").write_text(name)
    before = everybody(term)
    with holdings(term) as held:
        assert sum(content == b"zoe" for content in everything(held, ZOE).values()) == 3
        erase_person(held, ZOE)
        assert everything(held, ZOE) == {}
    assert everybody(term) == before


def test_nothing_is_erased_while_an_assignment_is_being_graded(student, term):
    from studium_graders.grading.lock import only_grader

    with only_grader(term / ".studium" / "locks", A):
        assert "ps1 is being graded by process" in student("erase", ZOE, "--yes")[2]
    with holdings(term) as held:
        assert [one.place for one in held_about(held, ZOE)] == PLACES


def test_an_archive_that_vanishes_with_another_person_while_it_comes_in_is_stored_again(served, archive):
    sent, blobs = archive(), served.classroom.blobs
    whole, calls = blobs.put, []

    def put(content: bytes) -> str:
        name = whole(content)
        calls.append(name)
        if len(calls) == 1:
            blobs.remove(name)  # its only owner so far is erased
        return name

    blobs.put = put
    served.classroom.submissions.take(C, A, "ada", sent, datetime.now(UTC), late=False)
    (row,) = served.classroom.submissions.attempts(C, ["ada"])[A, "ada"]
    assert served.classroom.submissions.archive(row) == sent
