"""What the sandbox's tests share: break-outs that were tried, and children that enter."""

# ruff: noqa: PTH123

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.sandbox import Level, Policy, enter, fork, readable_roots

ATTACKER = Path(__file__).parent / "attacker.py"


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Callable[[], Path]]:
    """open_folder() → a new folder that every user can reach. pytest's own close whenever another run of it begins."""
    with tempfile.TemporaryDirectory(prefix="studium-sandbox-", ignore_cleanup_errors=True) as root:

        def make(root: str = root) -> Path:
            folder = Path(tempfile.mkdtemp(dir=root))
            folder.chmod(0o755)
            return folder

        Path(root).chmod(0o755)
        yield make


@pytest.fixture
def tmp_path(open_folder: Callable[[], Path]) -> Path:
    """Return a folder in which a sandboxed process of another user finds what the test puts there."""
    return open_folder()


@pytest.fixture(scope="session")
def attacked(open_folder: Callable[[], Path]) -> Callable[..., dict]:
    """attacked("L2,none", user=65534, denied="namespaces", names="…") → what came of the break-outs."""

    def run(levels: str, user: int = os.geteuid(), denied: str = "", names: str = "") -> dict:
        command = [sys.executable, "-I", str(ATTACKER), str(open_folder()), str(user), denied, levels, names]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def inside(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """inside(Level.L2, function, **policy) → (exit status, what the function gave as text), run in the sandbox."""
    roots = readable_roots()

    def run(level: Level, function: Callable[[], object], forked: Callable[[], int] | None = None, **options: object):
        scratch = tempfile.mkdtemp(dir=tmp_path)
        reading, writing = os.pipe()
        policy = {"readable": roots, "hidden": (), "scratch": scratch, "limits": Limits()} | options
        child = forked() if forked else fork(level)
        if child == 0:
            _in_child(level, Policy(**policy, keep=(writing,)), function, writing)
        os.close(writing)
        with open(reading, encoding="utf-8") as file:
            said = file.read()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said

    return run


def _in_child(level: Level, policy: Policy, function: Callable[[], object], writing: int) -> None:
    code = 70
    try:
        enter(level, policy)
        code = 71
        os.write(writing, str(function()).encode())
        code = 0
    except BaseException as error:
        os.write(writing, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)
