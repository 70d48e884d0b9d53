"""`studium topic check`: what is a topic, what is printed, and the exit codes."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
from studium.authoring import lesson_check
from studium.authoring.findings import CheckResult, Mutants, Report, Survivor
from studium.authoring.lesson_process import Event
from studium.authoring.lesson_run import BUDGETS, Budget, LessonRun
from studium.authoring.repeatability import repeatability
from studium.authoring.subject import open_subject
from studium.authoring.watch_process import Told
from studium.cli import topic
from studium.errors import ExerciseError
from studium.exercises.model import exercise

from tests.authoring.conftest import PACKAGE, SMOKE, Damage, failed
from tests.authoring.damages import DAMAGES


def test_json_has_the_topic_its_checks_and_its_mutants(studium, copy_sample):
    code, out, err = studium("topic", "check", str(copy_sample()), "--json", "--only", "solutions")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert list(report) == ["topic", "passed", "checks", "mutants", "waiting"]
    assert (report["topic"], report["passed"]) == ("echo", True)
    assert [check["name"] for check in report["checks"]] == ["imports", "solutions"]
    assert set(report["checks"][0]) == {"name", "passed", "detail", "advice"}
    assert report["mutants"] == {"killed": 0, "total": 0, "survivors": [], "worth": []}


def test_a_failing_check_is_an_exit_code_of_one_and_a_sentence(studium, copy_sample):
    damage = next(damage for damage in DAMAGES if damage.name == "a misspelt word")
    code, out, _ = studium("topic", "check", str(copy_sample(damage)), "--only", "spelling")
    assert code == 1
    assert "✗ spelling: lesson.py:1 has 'teh': write the" in out
    assert "1 of 2 checks fail: spelling" in out


def test_what_a_topic_prints_does_not_get_into_the_json(studium, copy_sample):
    damage = next(damage for damage in DAMAGES if damage.name == "a test that prints")
    assert json.loads(studium("topic", "check", str(copy_sample(damage)), "--json", "--only", "solutions")[1])["passed"]


def test_survivors_stand_at_the_end_as_diffs(capsys):
    survivor = Survivor("response", 92, "-    if gain < 0:\n+    if gain <= 0:")
    topic._print_end(Report("echo", False, [CheckResult("mutants", False, "…")], Mutants(9, 10, [survivor])))
    assert capsys.readouterr().out == (
        "\nno test notices this change of response, exercises.py line 92:\n-    if gain < 0:\n+    if gain <= 0:\n"
        "\necho: 1 of 1 checks fail: mutants\n"
    )


def test_all_lines_of_a_check_that_passes_are_shown(capsys):
    topic._print(CheckResult("promises", True, "that no test notices: 1 of 9\nmerge: no_grad"))
    assert capsys.readouterr().out == "✓ promises: that no test notices: 1 of 9\n            merge: no_grad\n"


@pytest.mark.heavy
def test_a_survivor_is_shown_with_its_line(studium, copy_sample):
    damage = next(damage for damage in DAMAGES if damage.name == "a case that no test looks at")
    code, out, _ = studium("topic", "check", str(copy_sample(damage)), "--only", "mutants")
    assert code == 1
    assert "no test notices this change of response, exercises.py line 89:\n-    if length > 1000 and gain < 0:" in out


def test_no_topic_is_a_usage_error(studium, tmp_path):
    for target, code, said in [
        ("lra", 2, "did you mean 'lora'?"),
        ("{tmp}/nowhere", 2, "unknown topic"),
        ("{tmp}", 2, "has neither"),
    ]:
        got, _, err = studium("topic", "check", target.format(tmp=tmp_path))
        assert (got, said in err) == (code, True)


def test_an_unknown_check_is_a_usage_error(studium, copy_sample):
    code, _, err = studium("topic", "check", str(copy_sample()), "--only", "mutant")
    assert (code, "did you mean 'mutants'?" in err) == (2, True)


def test_a_plugin_that_does_not_load_is_a_failed_check(studium, copy_sample):
    folder = copy_sample()
    (folder / PACKAGE / "__init__.py").write_text("import not_there\n")
    code, out, _ = studium("topic", "check", str(folder), "--json")
    report = json.loads(out)
    assert (code, [check["name"] for check in report["checks"]]) == (1, ["imports"])
    assert "No module named 'not_there'" in report["checks"][0]["detail"]


def test_the_folder_of_the_package_will_do(checked, copy_sample):
    assert failed(checked(copy_sample() / PACKAGE, "metadata")) == []


def test_a_folder_with_two_topics_asks_for_one(studium, copy_sample):
    folder = copy_sample()
    plugin = folder / PACKAGE / "__init__.py"
    text = plugin.read_text("utf-8")
    again = text[text.index("    yield Topic(") :].replace('slug="echo"', 'slug="echo-two"')
    plugin.write_text(text + again, "utf-8")
    code, _, err = studium("topic", "check", str(folder), "--only", "metadata")
    assert (code, "one topic is checked at a time" in err) == (2, True)


def test_a_solution_that_is_bound_to_single_precision_is_fragile(checked, copy_sample):
    line = "    torch.zeros(2) @ torch.zeros(2, dtype=torch.float32)\n    y = list(x)\n    for n in range(delay"
    damage = Damage("", "robustness", "exercises.py", line, "    y = list(x)\n    for n in range(delay")
    report = checked(copy_sample(damage), "robustness")
    assert failed(report) == ["robustness"]
    assert "must work in double precision too" in report.checks[-1].detail


def test_a_mark_of_an_equivalent_line_needs_a_reason():
    marked = exercise(points=1, minutes=1)(lambda x: x)
    with pytest.raises(ExerciseError, match="needs a reason"):
        marked.equivalent("return x", " ")


def test_a_lesson_over_its_budget_is_told_its_heaviest_cell():
    for budget, said in [
        (
            Budget(lesson=5, cell=5, memory_mb=900),
            "the lesson may take 5 s at smoke: it took 7 s, 4 s of them in cell b",
        ),
        (Budget(lesson=9, cell=3, memory_mb=900), "a cell may take 3 s at smoke: cell b took 4 s"),
        (
            Budget(lesson=9, cell=9, memory_mb=500),
            "the lesson may take 500 MB at smoke: it took 700 MB, reached in cell b",
        ),
    ]:
        run = LessonRun("", [Event("lesson", "a", 3.0, 300.0), Event("lesson", "b", 4.0, 700.0)], "")
        assert [problem for problem in lesson_check._problems(run, budget, SMOKE, "cell {}".format) if said in problem]


@pytest.mark.heavy
def test_a_lesson_that_hangs_is_stopped(monkeypatch, copy_sample, checked):
    monkeypatch.setitem(BUDGETS, "smoke", Budget(lesson=1, cell=1, memory_mb=1500))
    damage = Damage("", "lesson", "lesson.py", "\n# %%\nimport time\n\ntime.sleep(600)\n")
    report = checked(copy_sample(damage), "lesson")
    assert failed(report) == ["lesson"]
    assert "make that cell lighter" in report.checks[-1].detail


def test_one_fault_is_told_once_and_what_waits_for_it_is_named(studium, copy_sample):
    twice = Damage(
        "", "imports", "lesson.py", '\n# %% exercise="echo"\nfrom studium_topic_echo.exercises import echo\n'
    )
    code, out, _ = studium("topic", "check", str(copy_sample(twice)))
    assert code == 1
    assert out.count("must place 'echo' once") == 1
    assert [line for line in out.splitlines() if line.startswith("✗")] == [
        "✗ imports: lesson.py of echo must place 'echo' once, but does so 2 times; remove one"
    ]
    assert "checks were left out because of imports: metadata, names," in out


def test_a_cell_that_uses_a_stub_is_told_of_lesson_mine():
    run = LessonRun("", [Event("lesson", "a", problem="NotImplementedError: ")], "")
    (said,) = lesson_check._problems(run, BUDGETS["smoke"], SMOKE, {"a": "lesson.py:143"}.get)
    assert said.startswith("the lesson must run: lesson.py:143: it calls an answer that is not written yet; wrap ")
    assert "lesson.mine(…)" in said


def test_a_lesson_that_ends_early_is_to_be_corrected_and_one_that_takes_too_long_to_be_made_lighter():
    for ended, remedy in (("ended with exit code 1: KeyError", "correct it"), ("was stopped after 32 s", "lighter")):
        run = LessonRun("", [Event("lesson", "a")], ended)
        (said,) = lesson_check._problems(run, BUDGETS["smoke"], SMOKE, str)
        assert said.endswith(remedy)


def test_a_lesson_runs_with_one_thread(checked, copy_sample):
    damage = Damage("", "lesson", "lesson.py", "\n# %%\nimport torch\n\nassert torch.get_num_threads() == 1\n")
    assert failed(checked(copy_sample(damage), "lesson", known=("imports", "solutions"))) == []


def test_a_test_that_draws_from_torchs_global_generator_is_advised_of_rng(copy_sample):
    old = "    assert_close(response(2, 0.5, 7), [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125])"
    draws = (
        f"    import torch\n    gain = float(torch.rand(1))\n{old}\n    assert_close(response(1, gain, 2), [1.0, gain])"
    )
    before = draws.replace(old, "").replace("\n\n", "\n")
    for text, advised in ((before, True), (old, False)):
        folder = copy_sample(Damage("", "repeatability", "exercises.py", text, old))
        with open_subject(str(folder), SMOKE) as subject:
            advice = "".join(repeatability(subject).advice)
        assert ("draws from torch's global generator" in advice) == advised
        shutil.rmtree(folder)


def test_a_result_that_has_not_changed_is_not_printed_again(capsys):
    watcher, preview, shown = SimpleNamespace(results={}), SimpleNamespace(tell=lambda results: None), {}
    for passed in (True, True, False):
        result = CheckResult("links", passed, "…")
        topic._show(Told(1, result=result), watcher, preview, shown)
    assert capsys.readouterr().out == "✓ links: …\n✗ links: …\n"
