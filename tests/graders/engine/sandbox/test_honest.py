"""What honest students use works in the sandbox."""

import subprocess
import sys
from pathlib import Path

import pytest
from studium_graders.engine.sandbox import Level, probe

HONEST = Path(__file__).parent / "honest.py"
FOUND = probe().level


@pytest.mark.parametrize("level", [level for level in (Level.L0, Level.L1, Level.L2, Level.L3) if level <= FOUND])
def test_torch_numpy_ipython_files_and_late_imports_work(level, tmp_path):
    tmp_path.chmod(0o755)
    command = [sys.executable, "-I", "-W", "ignore", str(HONEST), level.name, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580)
    assert (done.returncode, done.stdout) == (0, "fine"), done.stdout + done.stderr
