"""A run of the tests as a whole: the limit on its time, and what may not outlive it.

What a run starts is known by a variable in its environment, and its temporary files lie in a folder of its own. At the
end, a process that is still there is killed and named, and so are files and mounts; then the run has failed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest

MARK = "STUDIUM_TEST_RUN"
LIMIT = "STUDIUM_TEST_RUN_MINUTES"  # another limit on the whole run than that of `make test`
MINUTES = 25.0
PATIENCE = 5.0  # seconds in which what was asked to end may do so
# What pytest keeps of its last three runs, PyTorch of what it compiles, and dask for its next worker.
OWN = ("pytest-of-", "torchinductor_", "dask-scratch-space")


def pytest_configure(config: pytest.Config) -> None:
    """Watch over the run from the process that has started it; those of pytest-xdist are part of it."""
    if MARK not in os.environ:
        config.pluginmanager.register(WholeRun(config), "studium-whole-run")


class WholeRun:
    """What is watched from the beginning to the end of a run."""

    def __init__(self, config: pytest.Config) -> None:
        self.running: dict[str, float] = {}
        self.left: list[str] = []
        self._config, self._mounts = config, _mounts()
        self._mark = os.environ[MARK] = uuid.uuid4().hex
        minutes = float(os.environ.get(LIMIT, MINUTES))
        self._timer = threading.Timer(60 * minutes, self._too_long, [minutes])
        self._timer.daemon = True
        self._timer.start()
        self._temporary = Path(tempfile.mkdtemp(prefix="st-"))
        self._temporary.chmod(0o711)  # servers that tests start as another user find their files in it
        os.environ["TMPDIR"], tempfile.tempdir = str(self._temporary), None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note a test that begins, in whichever process."""
        self.running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note a test that is over."""
        self.running.pop(nodeid, None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Look for what is left, when the processes of pytest-xdist are over."""
        self._timer.cancel()
        self.left = [*map(_told, self._processes()), *self._files(), *sorted(_mounts() - self._mounts)]
        self._end()
        if self.left and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was left."""
        for line in self.left:
            terminalreporter.write_line(f"left behind by the tests, which fails the run: {line}", red=True)

    def pytest_unconfigure(self) -> None:
        """Leave nothing of the run's own either."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        os.environ.pop(MARK, None)

    def _processes(self) -> list[psutil.Process]:
        end = time.monotonic() + PATIENCE
        while (left := _processes_of(self._mark)) and time.monotonic() < end:
            time.sleep(0.1)
        return left

    def _files(self) -> list[str]:
        return [str(path) for path in self._temporary.iterdir() if not path.name.startswith(OWN)]

    def _end(self) -> None:
        for process in _processes_of(self._mark):
            process.kill()

    def _too_long(self, minutes: float) -> None:
        """Say which tests are running, end everything, and leave."""
        capture, reporter = map(self._config.pluginmanager.get_plugin, ("capturemanager", "terminalreporter"))
        capture.suspend_global_capture(in_=True)
        reporter.write_line(f"\nthe run takes longer than {minutes:g} minutes and is ended; these tests were running:")
        for name, start in self.running.items():
            reporter.write_line(f"  {name}, for {time.monotonic() - start:.0f} s")
        for report in reporter.stats.get("failed", ()):
            reporter.write_line(f"failed before: {report.nodeid}")
        sys.stdout.flush()
        self._end()
        shutil.rmtree(self._temporary, ignore_errors=True)
        os._exit(pytest.ExitCode.INTERRUPTED)


def _processes_of(mark: str) -> list[psutil.Process]:
    """Give the processes of a run but this one; one that has given up its environment is not known."""
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _environment(one).get(MARK) == mark]


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def _told(process: psutil.Process) -> str:
    try:
        return f"process {process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"process {process.pid}"


def _mounts() -> set[str]:
    """Where something is mounted; empty where that is not known."""
    table = Path("/proc/self/mountinfo")
    lines = table.read_text("utf-8").splitlines() if table.exists() else []
    return {f"mount {line.split()[4]}" for line in lines}
