"""What honest students use works in the sandbox."""

import subprocess
import sys
from pathlib import Path

from studium_graders.engine.sandbox import Level, probe

HONEST = Path(__file__).parent / "honest.py"
LEVELS = [level.name for level in (Level.L0, Level.L1, Level.L2, Level.L3) if level <= probe().level]


def test_torch_numpy_ipython_files_and_late_imports_work_at_each_level(tmp_path):
    tmp_path.chmod(0o755)
    command = [sys.executable, "-I", "-W", "ignore", str(HONEST), str(tmp_path), *LEVELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=580)
    assert done.stdout.splitlines() == [f"{level} fine" for level in LEVELS], done.stderr
