"""nbgrader's own tests of ``autograde``, with Studium's engine in the place of Execute."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("nbgrader")

pytestmark = [pytest.mark.nbgrader, pytest.mark.heavy, pytest.mark.timeout(3600)]

CANNOT_PASS = {
    "test_side_effects": "a file that a student's code writes stays in the sandbox and is gone with it",
    "test_missing_source_kernelspec": "a submission that names an unknown kernel is graded: its kernelspec is not used",
    "test_autograde_timeout": "its reference takes 5 s where 2 are allowed: such a limit stops the run with a "
    "sentence, for it would cost every student the points",
}
"""The tests that fail with the engine, each with the reason."""

MODULES = ("nbgrader.tests.apps.test_nbgrader_autograde",)


@pytest.fixture(scope="module", params=MODULES)
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outcome of each test of a module: passed, failed or skipped."""
    folder = tmp_path_factory.mktemp("own")
    report = folder / "report.xml"
    own = {
        "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))),
        "HOME": str(folder),
    }
    command = [sys.executable, "-m", "pytest", "--pyargs", request.param, "-p", "engine_in_place"]
    options = ["-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider", f"--junit-xml={report}", "-q"]
    subprocess.run(
        [*command, *options], cwd=folder, env=os.environ | own, capture_output=True, check=False, timeout=3500
    )
    cases = ElementTree.parse(report).iter("testcase")
    return {case.get("name", ""): _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    found = {child.tag for child in case}
    return "failed" if found & {"failure", "error"} else "skipped" if "skipped" in found else "passed"


def test_all_pass_but_those_that_cannot(outcomes: dict[str, str]) -> None:
    failed = {name for name, outcome in outcomes.items() if outcome == "failed"}
    assert failed == {name for name in CANNOT_PASS if name in outcomes}
    assert sum(outcome == "passed" for outcome in outcomes.values()) > 30
