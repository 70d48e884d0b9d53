"""A course archived and read again: by another server, with all that was handed in and no token."""

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.classroom.messages import CheckAnswer, CheckedExercise
from studium.cli.app import build_app
from studium.errors import UsageError
from studium_classroom.archiving import archive_course
from studium_classroom.classroom import Classroom
from studium_classroom.members import InvitationError
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import GradedOutcome
from typer.testing import CliRunner

from .conftest import Served, join, serving
from .test_submissions import A, C, marked


@pytest.fixture
def archived(served, archive, tmp_path: Path) -> Path:
    """The archive of a course in which ada has a mark and feedback, bob waits for one, and one check was made."""
    served.client("ada").submit(C, A, archive())
    total = {"counting.total": GradedOutcome("right")}
    marked(served, "ada", 4.0, pages={"counting": b"<h1>Feedback</h1>"}, exercises=total)
    served.client("ada").ask_regrade(C, A, 1, "my sum is right")
    served.client("bob").submit(C, A, archive(total="# bob"))
    wrong = CheckAnswer("counting", [CheckedExercise("total", "wrong")])
    served.classroom.checks.note(C, A, "ada", wrong, {"total": "counting.total:added-the-sizes"})
    archive_course(served.classroom, C, tmp_path / "course.zip")
    return tmp_path / "course.zip"


def restore(*words: str) -> str:
    done = CliRunner().invoke(build_app(load_catalogue()), ["classroom", "restore", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_what_was_handed_in_marked_and_checked_is_there_again_with_its_receipts(served, archived, archive, tmp_path):
    receipts = {name: served.client(name).assignments(C)[0].attempts[0].receipt for name in ("ada", "bob")}
    restore(str(archived), "--into", str(tmp_path / "again"))
    classroom = Classroom([tmp_path / "again"], tmp_path / "again" / ".studium" / "classroom")
    with serving(classroom) as url:
        tokens = {name: join(classroom, C, name, Place(Role.STUDENT)) for name in ("ada", "bob")}
        again = Served(classroom, url, tokens)
        (view,) = again.client("ada").assignments(C)
        assert [(one.receipt, one.state, one.score) for one in view.attempts] == [(receipts["ada"], "graded", 4.0)]
        assert [one.regrade.text for one in view.attempts] == ["my sum is right"]
        assert again.client("ada").feedback(C, A, 1, "counting") == b"<h1>Feedback</h1>"
        assert again.client("ada").submit(C, A, archive()).attempt == 1  # what was handed in is known
        assert again.client("bob").submit(C, A, archive(total="# more")).attempt == 2
        genuine = again.ask("ada", "POST", f"courses/{C}/receipts", json=_json(receipts["ada"]))
        assert genuine.json() == {"genuine": True}
        forged = _json(receipts["ada"]) | {"attempt": 7}
        assert again.ask("ada", "POST", f"courses/{C}/receipts", json=forged).status_code == 403
        found = classroom.findings.history(C, A, "ada", "counting.total")
        assert sorted((one.attempt, one.outcome) for one in found) == [(0, "wrong"), (1, "right")]
        again.close()
    assert (tmp_path / "again" / "gradebook.db").is_file()
    assert (tmp_path / "again" / "source" / "ps1" / "counting.ipynb").is_file()


def _json(receipt) -> dict:
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(receipt))


@pytest.mark.parametrize("umask", [0, 0o022])
def test_nobody_but_its_owner_reads_an_archive_or_what_is_made_of_it(served, course, tmp_path, modes, umask):
    os.umask(umask)
    archive_course(served.classroom, C, tmp_path / "course.zip")
    assert modes(tmp_path / "course.zip") == {("file", "0o600")}
    restore(str(tmp_path / "course.zip"), "--into", str(tmp_path / "again"))
    again = tmp_path / "again"
    assert (again / "source" / "ps1" / "counting.ipynb").is_file()
    assert (again / ".studium" / "classroom" / "classroom.db").is_file()
    assert modes(again) == {("folder", "0o700"), ("file", "0o600")}


def test_an_archive_has_no_token_no_invitation_and_nothing_of_other_courses(served, archived, course, tmp_path):
    inside = Classroom([course], course / "classroom-data")  # the server's data within the course's folder
    secret = inside.members.invite(C, "eve", Place(Role.STUDENT))
    inside.audit.note("another", "zoe", "submit")
    (course / "classroom.toml").write_text('courses = ["."]\ndatabase = "postgresql://studium:secret@/x"\n')
    archive_course(inside, C, tmp_path / "inside.zip")
    inside.database.close()
    for file in (archived, tmp_path / "inside.zip"):
        with zipfile.ZipFile(file) as opened:
            names = opened.namelist()
            content = b"".join(opened.read(name) for name in names)
        assert not [name for name in names if "classroom.db" in name or name.endswith(("/secret", "classroom.toml"))]
        assert not [one for one in (secret, *served.tokens.values(), "zoe") if one.encode() in content]


def test_an_archive_goes_into_a_server_that_has_other_courses_and_takes_their_numbers_not(
    counting, make_course, archived, archive, tmp_path
):
    other = make_course()
    (other / "course.toml").write_text('id = "other"\n')
    (tmp_path / "classroom.toml").write_text(f'courses = ["{other}", "again"]\n')
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "course.toml").write_text('id = "x"\n')
    before = Classroom([other], tmp_path / "classroom-data")
    before.submissions.take("other", "ps1", "zoe", archive(), datetime.now(UTC), late=False)
    before.database.close()
    with pytest.raises(UsageError, match="read into a new folder"):
        restore(str(archived), "--into", str(tmp_path / "again"), "--course", str(tmp_path))
    (tmp_path / "again" / "course.toml").unlink()
    restore(str(archived), "--into", str(tmp_path / "again"), "--course", str(tmp_path))
    both = Classroom([other, tmp_path / "again"], tmp_path / "classroom-data")
    assert {user for _, user in both.submissions.attempts(C)} == {"ada", "bob"}
    assert {user for _, user in both.submissions.attempts("other")} == {"zoe"}
    (ada,) = both.submissions.attempts(C)[A, "ada"]
    assert both.submissions.page(ada.id, "counting") == b"<h1>Feedback</h1>"
    both.database.close()
    with pytest.raises(UsageError, match=f"already has submissions of {C}"):
        restore(str(archived), "--into", str(tmp_path / "twice"), "--course", str(tmp_path))
    assert not (tmp_path / "twice").exists()


def test_a_restored_place_has_no_earlier_invitation_and_no_open_board(archived, course, tmp_path):
    (tmp_path / "classroom.toml").write_text(f'courses = ["{course}"]\n')
    server = Classroom([course], tmp_path / "classroom-data")
    invitation = server.members.invite(C, "ada", Place(Role.TA))
    server.members.put("another", "ada", Place(Role.STUDENT))
    elsewhere = server.members.invite("another", "ada", Place(Role.TA))
    board = server.boards.link(C, "ada", Place(Role.TA))
    restore(str(archived), "--into", str(tmp_path / "again"), "--course", str(tmp_path))
    for exchange, secret in ((server.members.join, invitation), (server.boards.open, board)):
        with pytest.raises(InvitationError, match="unknown, used or older"):
            exchange(secret)
    assert server.members.places("ada")[C] == Place(Role.STUDENT, "a")
    assert server.members.join(elsewhere).course == "another"
    server.database.close()


def test_what_is_no_archive_or_leads_out_is_refused_and_nothing_is_written(archived, tmp_path):
    (tmp_path / "junk.zip").write_bytes(b"junk")
    with zipfile.ZipFile(archived) as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name))
        bad.writestr("course/../../out.txt", b"out")
    for name, sentence in (
        ("junk.zip", "cannot be read as the archive"),
        ("bad.zip", "leads out of it"),
        ("none.zip", "cannot be read as the archive"),
    ):
        with pytest.raises(UsageError, match=sentence):
            restore(str(tmp_path / name), "--into", str(tmp_path / "again"))
        assert not (tmp_path / "again").exists()
    assert not list(tmp_path.rglob("out.txt"))


def test_a_damaged_submission_is_not_taken_for_the_one_that_was_handed_in(archived, tmp_path):
    with zipfile.ZipFile(archived) as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, b"other" if name.startswith("blobs/") else good.read(name))
    with pytest.raises(UsageError, match="the archive is damaged"):
        restore(str(tmp_path / "bad.zip"), "--into", str(tmp_path / "again"))
    assert not (tmp_path / "again").exists()


def test_an_archive_is_a_new_file_outside_the_course(served, course, archived):
    for target in (archived, course / "own.zip"):
        with pytest.raises(UsageError, match="a new file outside the course's folder"):
            archive_course(served.classroom, C, target)
