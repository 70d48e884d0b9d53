"""What the sandbox's tests share: break-outs that were tried, and children that enter."""

# ruff: noqa: PTH123

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.sandbox import Level, Policy, enter, fork, readable_roots

ATTACKER = Path(__file__).parent / "attacker.py"


def let_others_in(folder: Path) -> None:
    """Open a folder of pytest's, and those above it, to every user."""
    for path in (folder, *folder.parents):
        if path != Path(tempfile.gettempdir()) and path.is_relative_to(tempfile.gettempdir()):
            path.chmod(0o755)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict]:
    """attacked("L2,none", user=65534, denied="namespaces") → what came of every break-out, tried once."""

    @functools.cache
    def run(levels: str, user: int = os.geteuid(), denied: str = "") -> dict:
        folder = tmp_path_factory.mktemp("world")
        let_others_in(folder)
        command = [sys.executable, "-I", str(ATTACKER), str(folder), str(user), denied, levels]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def inside(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """inside(Level.L2, function, **policy) → (exit status, what the function gave as text), run in the sandbox."""
    roots = readable_roots()
    let_others_in(tmp_path)

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
