"""What honest students use works in the sandbox."""

import subprocess
import sys
from pathlib import Path

import pytest
from studium_graders.engine.sandbox import Level, probe

HONEST = Path(__file__).parent / "honest.py"
LEVELS = [level.name for level in (Level.L0, Level.L1, Level.L2, Level.L3) if level <= probe().level]


@pytest.mark.parametrize(
    "levels", [LEVELS[-1:], pytest.param(LEVELS[:-1], marks=pytest.mark.heavy)], ids=["top", "rest"]
)
def test_torch_numpy_ipython_files_and_late_imports_work_at_each_level(tmp_path, levels):
    tmp_path.chmod(0o755)
    command = [sys.executable, "-I", "-W", "ignore", str(HONEST), str(tmp_path), *levels]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580)
    assert done.stdout.splitlines() == [f"{level} fine" for level in levels], done.stderr
