"""A course that a group of graders shares: what one of them writes, the others can read and replace."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue
from studium_graders.assignments.building import build_assignment  # nbgrader is an extra
from studium_graders.course.sharing import Sharing


@pytest.fixture(params=[True, False], ids=["shared", "alone"])
def course(
    request: pytest.FixtureRequest,
    counting: Catalogue,
    make_course: Callable,
    submit: Callable,
    studium: Callable[..., tuple[int, str, str]],
) -> Iterator[tuple[Path, bool]]:
    """A course, assigned, graded and given feedback with the umask of most accounts; and whether it is shared."""
    root: Path = make_course()
    with (root / "nbgrader_config.py").open("a") as file:
        file.write(f"get_config().CourseDirectory.groupshared = {request.param}\n")
    before = os.umask(0o022)
    try:
        build_assignment(root, "ps1", counting)
        submit(root, "ada", {})
        where = ("ps1", "--course", str(root))
        assert studium("grade", *where, "--executor", "by-hand")[0] == 0
        assert studium("feedback", *where)[0] == 0
        yield root, request.param
    finally:
        os.umask(before)


def test_the_group_may_read_and_write_what_was_written_where_the_course_is_shared(
    by_hand: Catalogue, course: tuple[Path, bool]
) -> None:
    root, shared = course
    tops = [root / name for name in (".studium", "source", "release", "autograded", "feedback", "gradebook.db")]
    modes = {path: path.stat().st_mode for top in tops for path in (top, *top.rglob("*"))}
    folders = {path: mode & 0o2070 for path, mode in modes.items() if stat.S_ISDIR(mode)}
    files = {path: mode & 0o060 for path, mode in modes.items() if stat.S_ISREG(mode)}
    closed = [path for path, mode in folders.items() if mode != 0o2070] + [p for p, m in files.items() if m != 0o060]
    assert (closed == []) is shared
    kept = {path.name: modes[path] & 0o007 for path in files if path.suffix == ".msgpack" or path.name == "secret"}
    assert kept == {"secret": 0, "ada.msgpack": 0, "ps1.msgpack": 0}


def test_what_another_grader_owns_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch(0o600)

    def not_ours(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_ours)
    Sharing(tmp_path, group=True).share(tmp_path / "kept" / "file")
    assert (tmp_path / "kept" / "file").stat().st_mode & 0o777 == 0o600


def test_what_a_link_leads_to_is_left_as_it_is(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o600)
    (tmp_path / "course" / "feedback").mkdir(parents=True)
    (tmp_path / "course" / "feedback" / "link").symlink_to(outside)
    Sharing(tmp_path / "course", group=True).share(tmp_path / "course" / "feedback")
    assert outside.stat().st_mode & 0o777 == 0o600
