"""What goes wrong around grading: nothing graded is lost or recorded twice, and one sentence says what to do."""

import errno
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.definitions import definition
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.gradebook import errors
from studium_graders.gradebook.errors import GradebookError
from studium_graders.grading import recorder, recording_desk
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.lock import only_grader
from studium_graders.grading.options import GradeOptions
from studium_graders.results.store import ResultsStore

from tests.children import child

CLASS = 8  # students
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class Quiet:
    """A watcher that does something after some results."""

    def __init__(self, at: int = 0, then: Callable[[], object] = lambda: None) -> None:
        self.count, self.at, self.then = 0, at, then

    def begin(self, total: int, sandbox: str) -> None:
        pass

    def done(self, student: str, *, reused: bool) -> None:
        self.count += 1
        if self.count == self.at:
            self.then()

    def note(self, sentence: str) -> None:
        pass

    def agree(self, changes: object) -> bool:
        return True


@pytest.fixture(scope="module")
def small_class(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course(rest='[late]\npolicy = "per-day"\npenalty_percent = 10\n')
    build_assignment(course, "ps1", by_hand)
    exercises = by_hand["counting"].exercises
    wrong = {
        name: "import math\n\n\n" + definition(item.misconceptions[0].function).replace("def _(", f"def {name}(")
        for name, item in exercises.items()
    }
    right = {name: solved(item) for name, item in exercises.items()}
    for number in range(CLASS):
        when = f"2026-03-0{1 + number % 5} 20:00:00 UTC"
        submit(course, f"student {number:02}", {"counting": signed((right, wrong, {})[number % 3], number)}, when)
    return course


def signed(answers: dict[str, str], number: int) -> dict[str, str]:
    """Make a student's answers unlike all others': equal ones are judged once."""
    return {name: f"{source}\n\n\n# {number}\n" for name, source in answers.items()}


@pytest.fixture
def course(small_class: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_class, tmp_path / "course"))


def grade(course: Path, catalogue: Catalogue, watcher: Quiet | None = None, executor: str = "by-hand") -> int:
    """Grade the class and give how many were recorded."""
    result = grade_class(course, "ps1", GradeOptions(executor=executor), catalogue, watcher or Quiet())
    assert result.problems == []
    return sum(row.recorded for row in result.submissions)


def state(course: Path, gradebook_rows: Callable) -> dict[str, object]:
    folder = course / "autograded"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {"files": files, **gradebook_rows(course)}


def kept(course: Path) -> int:
    return len(list((course / ".studium" / "results" / "ps1").glob("*.msgpack")))


def holding(course: Path) -> sqlite3.Connection:
    """Hold the gradebook as a program that writes to it and does not end."""
    connection = sqlite3.connect(course / "gradebook.db", check_same_thread=False)
    connection.execute("begin exclusive")
    return connection


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(recording_desk, "BATCH", 2)


def test_a_gradebook_that_is_locked_for_a_moment_is_waited_for(
    course: Path, by_hand: Catalogue, impatient: None
) -> None:
    held: list[sqlite3.Connection] = []
    watcher = Quiet(3, lambda: held.append(holding(course)))
    let_go = watcher.done

    def done(student: str, *, reused: bool) -> None:
        let_go(student, reused=reused)
        if watcher.count == CLASS:
            held[0].rollback()
            held[0].close()

    watcher.done = done
    assert grade(course, by_hand, watcher) == CLASS


def test_a_gradebook_that_stays_locked_costs_no_result(
    course: Path, by_hand: Catalogue, impatient: None, gradebook_rows: Callable
) -> None:
    held: list[sqlite3.Connection] = []
    with pytest.raises(GradebookError, match=r"gradebook\.db is locked by another program; close it, or wait, and run"):
        grade(course, by_hand, Quiet(3, lambda: held.append(holding(course))))
    held[0].rollback()
    held[0].close()
    assert kept(course) == CLASS
    assert len(gradebook_rows(course)["submissions"]) < CLASS
    counted = Quiet()
    result = grade_class(course, "ps1", GradeOptions(executor="by-hand", resume=True), by_hand, counted)
    assert all(row.recorded and row.reused for row in result.submissions)
    assert len(gradebook_rows(course)["submissions"]) == CLASS


def test_a_gradebook_that_is_damaged_is_named_and_left_alone(course: Path, by_hand: Catalogue) -> None:
    grade(course, by_hand)
    (course / "gradebook.db").write_bytes(b"this is no database, but the file of somebody else" * 100)
    with pytest.raises(CourseError, match=r"gradebook\.db .*(is damaged|not a database)"):
        grade(course, by_hand)
    assert (course / "gradebook.db").read_bytes().startswith(b"this is no database")
    assert kept(course) == CLASS


def test_a_gradebook_that_is_damaged_while_grading_costs_no_result(
    course: Path, by_hand: Catalogue, impatient: None
) -> None:
    shutil.copy(course / "gradebook.db", course / "copy.db")

    def damage() -> None:
        with (course / "gradebook.db").open("r+b") as file:
            file.write(b"x" * 20_000)

    with pytest.raises(GradebookError, match="is damaged"):
        grade(course, by_hand, Quiet(4, damage))
    assert kept(course) >= 4
    (course / "copy.db").replace(course / "gradebook.db")
    assert grade(course, by_hand) == CLASS


def test_two_graders_do_not_meet(course: Path, by_hand: Catalogue) -> None:
    with only_grader(course / ".studium" / "locks", "ps1"):
        sentence = rf"ps1 is being graded by process {os.getpid()} of .* since 20.*; wait until that is done"
        with pytest.raises(CourseError, match=sentence):
            grade(course, by_hand)
    assert grade(course, by_hand) == CLASS


def test_a_lock_whose_holder_is_dead_is_free(course: Path, by_hand: Catalogue) -> None:
    program = (
        "import sys, time; from pathlib import Path; from studium_graders.grading.lock import only_grader\n"
        "with only_grader(Path(sys.argv[1]), 'ps1'): print('held', flush=True); time.sleep(60)"
    )
    folder = course / ".studium" / "locks"
    with child([sys.executable, "-c", program, folder], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CourseError, match=f"process {holder.pid} of"):
            grade(course, by_hand)
        holder.kill()
    assert grade(course, by_hand) == CLASS


@pytest.fixture
def small_disk(course: Path, tmp_path: Path) -> Iterator[Path]:
    """The course on a file system of 1.5 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    if (
        not AS_ROOT
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", where], check=False).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    try:
        shutil.copytree(course, where, dirs_exist_ok=True)
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_costs_no_result(small_disk: Path, by_hand: Catalogue, gradebook_rows: Callable) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"0" * (shutil.disk_usage(small_disk).free - 60_000))
    with pytest.raises(CourseError, match=r"disk .*is full.* free some space"):
        grade(small_disk, by_hand)
    first = kept(small_disk)
    assert first
    filler.unlink()
    assert grade(small_disk, by_hand) == CLASS
    assert len(gradebook_rows(small_disk)["submissions"]) == CLASS


@pytest.fixture
def read_only(course: Path, tmp_path: Path) -> Iterator[Path]:
    """The course on a file system that may only be read."""
    where = tmp_path / "locked"
    where.mkdir()
    if not AS_ROOT or subprocess.run(["mount", "--bind", course, where], check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", where], check=True)
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def test_a_folder_that_may_only_be_read_is_one_sentence(
    read_only: Path, studium: Callable[..., tuple[int, str, str]], by_hand: Catalogue
) -> None:
    code, _, err = studium("grade", "ps1", "--course", str(read_only), "--executor", "by-hand")
    assert (code, "Traceback" in err, err.count("\n")) == (1, False, 1)
    assert "read-only" in err.lower()


def command(course: Path, executor: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "studium",
        "grade",
        "ps1",
        "--course",
        str(course),
        "--executor",
        executor,
        "--resume",
    ]


def run_killed_after(seconds: float, course: Path, executor: str) -> bool:
    """Run the command and kill it with all its children; tell whether it was still running."""
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with child(command(course, executor), **nowhere) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return False
        kill_all(process.pid)
    return True


def kill_all(pid: int) -> None:
    """Kill a process, and then what it has started."""
    first = psutil.Process(pid)
    for one in (first, *first.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.kill()


def until_something_is_kept(course: Path) -> None:
    """Wait until the results of a submission are on the disk."""
    end = time.monotonic() + 120
    while not kept(course):
        assert time.monotonic() < end, "nothing was graded"
        time.sleep(0.01)


def undisturbed(course: Path, executor: str) -> float:
    start = time.monotonic()
    done = subprocess.run(command(course, executor), check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - start


STOPPED = "studium: stopped; everything graded so far is kept: run studium grade ps1 again to grade the rest\n"


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_asked_to_end_stops_as_by_ctrl_c_and_goes_on_later(
    name: str, course: Path, by_hand: Catalogue
) -> None:
    pipe = subprocess.PIPE
    with child(command(course, "by-hand-held"), stdout=pipe, stderr=pipe) as process:
        until_something_is_kept(course)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", STOPPED)
    assert grade(course, by_hand) == CLASS


INTERRUPTED = """
import sqlite3
from sqlalchemy import create_engine, text
from studium_graders.commands.stopping import stoppable

class Interrupted(sqlite3.Connection):
    def close(self):
        super().close()
        raise KeyboardInterrupt

try:
    with stoppable():
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(":memory:", factory=Interrupted))
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        engine.dispose()
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_stop_while_a_connection_is_closed_is_told_once() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


def kill_at_random_moments(
    times: int, course: Path, executor: str, gradebook_rows: Callable, tmp_path: Path, seed: int
) -> None:
    """Compare the course after runs that were killed, and one that was not, with the course of one quiet run."""
    quiet = Path(shutil.copytree(course, tmp_path / "quiet"))
    seconds = undisturbed(quiet, executor)
    chance = random.Random(seed)
    expected, killed, moments = state(quiet, gradebook_rows), 0, []
    for number in range(times):
        disturbed = Path(shutil.copytree(course, tmp_path / "disturbed"))
        moments.append(chance.uniform(0.2, 1.0) * seconds)
        killed += run_killed_after(moments[-1], disturbed, executor)
        undisturbed(disturbed, executor)
        assert state(disturbed, gradebook_rows) == expected, f"killed after {moments[-1]:.2f} s of run {number}"
        shutil.rmtree(disturbed)
    print(f"\n{killed} of {times} runs killed, between {min(moments):.2f} and {max(moments):.2f} s of {seconds:.2f} s")
    assert killed


def test_killed_and_resumed_the_gradebook_is_that_of_a_quiet_run(
    course: Path, by_hand: Catalogue, gradebook_rows: Callable, tmp_path: Path
) -> None:
    quiet = Path(shutil.copytree(course, tmp_path / "quiet"))
    grade(quiet, by_hand)
    with child(command(course, "by-hand-held"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until_something_is_kept(course)
        kill_all(process.pid)
    grade_class(course, "ps1", GradeOptions(executor="by-hand", resume=True), by_hand, Quiet())
    assert state(course, gradebook_rows) == state(quiet, gradebook_rows)


@pytest.mark.heavy
def test_killed_at_fifty_moments_and_resumed_the_gradebook_is_that_of_a_quiet_run(
    course: Path, by_hand: Catalogue, gradebook_rows: Callable, tmp_path: Path
) -> None:
    kill_at_random_moments(25, course, "by-hand-slow", gradebook_rows, tmp_path, seed=2)
    kill_at_random_moments(25, course, "local", gradebook_rows, tmp_path / "engine", seed=3)


def test_killed_in_the_middle_of_recording_nothing_is_recorded_twice(
    course: Path, by_hand: Catalogue, gradebook_rows: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop at each step of recording in turn: before and after a folder, before and after the gradebook."""
    quiet = Path(shutil.copytree(course, tmp_path / "quiet"))
    grade(quiet, by_hand)
    for owner, name in (
        (ResultsStore, "save"),
        (recording_desk.AutogradedFolder, "write"),
        (recorder.Recorder, "plan"),
        (recorder.Recorder, "write"),
    ):
        for after in (False, True):
            original = getattr(owner, name)

            def stop(self: object, *arguments: object, original=original, after=after) -> None:
                if after:
                    original(self, *arguments)
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, stop)
                with pytest.raises(KeyboardInterrupt):
                    grade(course, by_hand)
    assert grade(course, by_hand) == CLASS
    assert state(course, gradebook_rows) == state(quiet, gradebook_rows)


@pytest.mark.heavy
def test_a_thousand_submissions_keep_speed_and_memory(
    by_hand: Catalogue, make_course: Callable, submit: Callable, gradebook_rows: Callable
) -> None:
    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(item) for name, item in by_hand["counting"].exercises.items()}
    for number in range(1000):
        submit(course, f"s{number:04}", {"counting": signed(right, number)})
    moments: list[tuple[float, float]] = []
    watcher = Quiet()

    def done(student: str, *, reused: bool) -> None:
        watcher.count += 1
        if watcher.count % 100 == 0:
            moments.append((time.monotonic(), _memory_mb()))

    watcher.done = done
    start = time.monotonic()
    assert grade(course, by_hand, watcher, "local") == 1000
    steps = [later - earlier for (earlier, _), (later, _) in zip([(start, 0.0), *moments], moments, strict=False)]
    print("\nseconds for each hundred:", [f"{step:.1f}" for step in steps])
    print("MB of all processes after each hundred:", [f"{memory:.0f}" for _, memory in moments])
    assert max(memory for _, memory in moments[5:]) < 1.15 * max(memory for _, memory in moments[:5])
    assert len(gradebook_rows(course)["grades"]) == 4000


def _memory_mb() -> float:
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss  # a page that forks share counts once
    return total / 2**20


def test_a_name_that_is_not_utf_8_is_told_and_stops_nobody(course: Path, by_hand: Catalogue) -> None:
    folder = course / "submitted"
    (folder / "student 00").rename(folder / os.fsdecode(b"caf\xe9"))
    result = grade_class(course, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet())
    assert sum(row.recorded for row in result.submissions) == CLASS - 1
    assert result.problems == [r"the folder 'caf\udce9' needs a name in UTF-8; rename it and grade again"]


def test_a_student_whose_folder_cannot_be_written_is_told_and_stops_nobody(
    course: Path, by_hand: Catalogue, studium: Callable[..., tuple[int, str, str]], gradebook_rows: Callable
) -> None:
    (course / "autograded").mkdir()
    (course / "autograded" / "student 03").write_text("a file in its place")
    command = ("grade", "ps1", "--course", str(course), "--executor", "by-hand")
    for resume in ((), ("--resume",)):
        code, out, err = studium(*command, *resume)
        assert (code, err.count("\n")) == (1, 1)
        assert f"{CLASS - 1} recorded" in out
        assert re.search(
            r"'student 03' was not recorded: the folder '.*student 03/ps1' could not be .*; remove whatever", err
        )
    assert len(gradebook_rows(course)["submissions"]) == CLASS - 1
    (course / "autograded" / "student 03").unlink()
    assert grade(course, by_hand) == CLASS


def test_a_student_whose_folder_fails_while_the_gradebook_is_locked_is_told_once(
    course: Path, by_hand: Catalogue, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (course / "autograded").mkdir()
    (course / "autograded" / "student 03").write_text("a file in its place")
    write, locked = recorder.Recorder.write, [GradebookError("it is locked", passing=True)]

    def locked_once(self: recorder.Recorder, plans: object) -> None:
        if locked:
            raise locked.pop()
        write(self, plans)

    monkeypatch.setattr(recorder.Recorder, "write", locked_once)
    result = grade_class(course, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet())
    assert sum(row.recorded for row in result.submissions) == CLASS - 1
    assert len(result.problems) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_folder_for_which_the_disk_has_no_room_stops_the_run(
    number: int, course: Path, by_hand: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(recording_desk.AutogradedFolder, "write", full)
    with pytest.raises(CourseError, match=r"disk .*is full.* free some space"):
        grade(course, by_hand)


@pytest.mark.parametrize(("first", "then"), [("a", "a/b"), ("a/b", "a")])
def test_a_resubmission_in_which_a_file_became_a_folder_or_a_folder_a_file_is_recorded(
    first: str, then: str, course: Path, by_hand: Catalogue
) -> None:
    handed_in, graded = (course / step / "student 00" / "ps1" for step in ("submitted", "autograded"))
    for name in (first, then):
        shutil.rmtree(handed_in / "a", ignore_errors=True)
        (handed_in / "a").unlink(missing_ok=True)
        (handed_in / name).parent.mkdir(exist_ok=True)
        (handed_in / name).write_text(name)
        assert grade(course, by_hand) == CLASS
        assert (graded / name).read_text() == name


def test_the_gradebook_keeps_its_rows_single(course: Path, by_hand: Catalogue) -> None:
    grade(course, by_hand)
    grade(course, by_hand)
    with closing(sqlite3.connect(course / "gradebook.db")) as database:
        counts = [
            database.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("student", "submitted_assignment", "submitted_notebook", "grade", "comment")
        ]
    assert counts == [CLASS, CLASS, CLASS, 4 * CLASS, 2 * CLASS]
