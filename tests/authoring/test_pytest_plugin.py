"""The checks as tests in a stranger's own CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from studium.authoring import pytest_plugin

from tests.authoring.damages import DAMAGES


def run_pytest(folder: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--studium-topic", ".", *options]
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, done.stdout + done.stderr


def damage(name: str):
    return next(damage for damage in DAMAGES if damage.name == name)


def test_each_check_is_a_test_that_can_be_chosen_by_name(copy_sample):
    code, said = run_pytest(copy_sample(), "--collect-only", "-k", "solutions or secrecy")
    assert code == 0
    assert [line for line in said.splitlines() if "::" in line] == [".::solutions", ".::secrecy"]


def test_a_topic_that_does_not_load_fails_with_the_reason(copy_sample):
    folder = copy_sample(damage("metadata that loads torch"))
    plugin = folder / "studium_topic_echo" / "__init__.py"
    plugin.write_text("import not_there\n" + plugin.read_text("utf-8"), "utf-8")
    code, said = run_pytest(folder)
    assert code == 1
    assert "No module named 'not_there'" in said
    assert "Traceback" not in said


def test_an_unknown_topic_is_a_usage_error(tmp_path):
    code, said = run_pytest(tmp_path)
    assert (code, "has neither" in said) == (pytest.ExitCode.USAGE_ERROR, True)


@pytest.mark.heavy
def test_a_damaged_topic_fails_the_test_of_its_check_alone(copy_sample):
    code, said = run_pytest(copy_sample(damage("a case that no test looks at")))
    assert code == 1
    failures = [line.split(" - ")[0] for line in said.splitlines() if line.startswith("FAILED")]
    assert failures == ["FAILED .::mutants"]
    assert "+    if length" in said


def test_loading_the_plugin_costs_no_catalogue():
    program = "import sys, studium.authoring.pytest_plugin; print({'torch', 'nbformat', 'pluggy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout
    assert "nbformat" not in done.stdout


def test_advice_counts_where_the_option_says_so(monkeypatch, request):
    asked, report = [], '{"topic": "echo", "passed": true, "checks": []}'
    monkeypatch.setattr(
        subprocess, "run", lambda command, **more: asked.append(command) or SimpleNamespace(stdout=report)
    )
    for strict in (True, False):
        options = {"profile": "smoke", "strict": strict}
        checks = pytest_plugin.TopicChecks.from_parent(request.session, name="echo", nodeid="echo", **options)
        assert checks.report.topic == "echo"
    assert ["--strict" in command for command in asked] == [True, False]
