"""Temporary folders of a grader: what a killed one left is removed by the next, and nothing else is."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.processes import own_folder
from studium_graders.engine.processes.own_folder import IN_USE, OwnFolder, remove_left_behind
from studium_graders.engine.sandbox import Level
from studium_graders.engine.supervision.engine import Engine

if sys.platform == "win32":
    pytest.skip("locks that end with a process are those of Unix", allow_module_level=True)

KILLED = """
import os, signal
from pathlib import Path
from studium_graders.engine.processes.own_folder import OwnFolder
own = OwnFolder("studium-home-")
folder = Path(own.name)
(folder / "shut").mkdir()
(folder / "shut" / "file").touch()
(folder / "shut").chmod(0)
(folder / "link").symlink_to("/nowhere")
print(folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this process and its children."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def left() -> Path:
    """The folder of a process that was killed."""
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    folder = Path(done.stdout.strip())
    assert folder.is_dir()
    return folder


def test_what_a_killed_process_left_is_removed_by_a_later_one(left: Path) -> None:
    remove_left_behind()
    assert not left.exists()


def test_a_folder_in_use_stays_until_its_process_removes_it() -> None:
    with OwnFolder() as name:
        remove_left_behind()
        assert Path(name, IN_USE).is_file()
    assert not Path(name).exists()


def test_a_folder_that_is_only_called_so_stays(temporary: Path) -> None:
    (temporary / "studium-notes").mkdir()
    (temporary / "studium-file").touch()
    (temporary / "studium-link").symlink_to("studium-notes")
    remove_left_behind()
    assert sorted(path.name for path in temporary.iterdir()) == ["studium-file", "studium-link", "studium-notes"]


def test_the_folder_of_another_user_stays(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
    remove_left_behind()
    assert left.is_dir()


def test_the_folder_of_another_machine_on_a_shared_disk_stays(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_folder.socket, "gethostname", lambda: "elsewhere")
    remove_left_behind()
    assert left.is_dir()


def test_a_link_in_the_place_of_a_lock_is_not_followed(left: Path, temporary: Path) -> None:
    (left / IN_USE).rename(temporary / "elsewhere")
    (left / IN_USE).symlink_to(temporary / "elsewhere")
    remove_left_behind()
    assert left.is_dir()


def test_what_could_not_be_removed_is_removed_the_next_time(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(own_folder.shutil, "rmtree", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            remove_left_behind()
    assert (left / IN_USE).is_file()
    remove_left_behind()
    assert not left.exists()


def test_an_engine_that_starts_removes_what_a_killed_one_left(left: Path) -> None:
    engine = Engine(Material("ps1", (), {}, Limits(), b""), Level.L2)
    used = [path for path in left.parent.glob("studium-*") if (path / IN_USE).is_file()]
    engine.__exit__(None, None, None)
    assert (len(used), left.exists(), any(path.exists() for path in used)) == (2, False, False)  # one is a home
