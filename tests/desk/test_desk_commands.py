"""Whatever the panel can do, a command can do too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.cli.output import _widths
from studium.cli.progress import HEADER
from studium.desk.journal import Journal
from studium.desk.labels import Label, label_text, read_labels
from studium.desk.memory_guard import refusal
from studium.desk.places import mark_workspace
from studium.desk.records import Checked

from tests.children import child

from .answering import MISTAKE, RIGHT, UNSCALED, sources, write_answer


@pytest.fixture
def path(workspace):
    return workspace / "sample.ipynb"


DONE = Checked("right", 1.0, 1.0, answer="done")


@pytest.fixture
def journal_of(store, monkeypatch):
    """journal_of(workspace) → its journal, of a computer on which the sample topic is alone."""
    known = load_catalogue()
    alone = type(known)(tuple(one for one in known.entries if one.topic.slug == "sample"), (), known.manager)
    monkeypatch.setattr("studium.cli.load_catalogue", lambda: alone)
    return lambda workspace: Journal(store, workspace)


@pytest.fixture
def failed(open_lesson, path):
    """A learner who has checked a wrong answer."""
    from studium.exercises.checking import check

    write_answer(path, UNSCALED)
    names: dict[str, object] = {}
    exec(UNSCALED, names)
    lesson = open_lesson()
    result = check("sample", lesson.catalogue["sample"].exercise("merge"), names["merge"])
    lesson.journal.write_result("sample", result, UNSCALED)


def test_next_says_where_to_go_on_and_what_was_wrong(studium, workspace, failed):
    code, out, _ = studium("next", "--course", str(workspace))
    assert code == 0
    assert out.startswith(f"merge in {workspace / 'sample.ipynb'}: wrong, core, about 5 minutes\n  {MISTAKE}")


@pytest.mark.parametrize("place", [".", "below", ".."], ids=["in it", "deep in it", "beside it"])
def test_commands_find_the_workspace_that_is_here_whatever_its_name(studium, workspace, failed, monkeypatch, place):
    here = workspace / place
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    code, out, err = studium("next")
    assert (code, err) == (0, "")
    file = os.path.relpath(workspace / "sample.ipynb", here)
    assert out.startswith(f"merge in {file}: wrong")


def test_where_there_are_two_workspaces_or_none_one_is_to_be_named(studium, workspace, tmp_path, monkeypatch):
    for folder in (tmp_path / "none", tmp_path / "two" / "first", tmp_path / "two" / "second"):
        folder.mkdir(parents=True)
    for name in ("first", "second"):
        mark_workspace(tmp_path / "two" / name)
    for place in ("none", "two"):
        monkeypatch.chdir(tmp_path / place)
        code, _, err = studium("next")
        assert (code, "the folder studium-workspace does not exist; name yours with --course" in err) == (2, True)


def test_progress_shows_every_lesson_and_counts(studium, workspace, failed):
    _, out, _ = studium("progress", "--course", str(workspace), "--json")
    (sample,) = [t for track in json.loads(out)["tracks"] for t in track["topics"] if t["slug"] == "sample"]
    assert (sample["status"], [item["status"] for item in sample["exercises"]]) == ("begun", ["wrong", "untouched"])
    assert "0 of " in studium("progress", "--course", str(workspace))[1]


@pytest.fixture
def further(workspace, sample):
    """The exercise merge, of two, stands below the heading "Further"."""
    lesson = sample.folder / "sample_topic" / "lesson.py"
    lesson.write_text(lesson.read_text().replace("## Merging", "## Further").replace("# And then.", "# ## The end"))


def test_next_comes_to_what_is_optional_when_all_else_is_done(studium, workspace, further, journal_of):
    assert studium("next", "--course", str(workspace))[1].startswith("twice in ")
    journal_of(workspace).write("sample", "twice", DONE)
    code, out, _ = studium("next", "--course", str(workspace))
    assert (code, out) == (0, f"merge in {workspace / 'sample.ipynb'}: untouched, optional, core, about 5 minutes\n")
    journal_of(workspace).write("sample", "merge", DONE)
    assert studium("next", "--course", str(workspace))[1].startswith("everything is done")


def test_a_lesson_is_done_without_what_is_optional_in_it(studium, workspace, further, journal_of):
    journal_of(workspace).write("sample", "twice", DONE)
    _, out, _ = studium("progress", "--course", str(workspace), "--json")
    found = json.loads(out)
    (sample,) = [t for track in found["tracks"] for t in track["topics"] if t["slug"] == "sample"]
    assert (sample["status"], sample["minutes_left"]) == ("done", 0)
    assert [(item["id"], item["optional"]) for item in sample["exercises"]] == [("merge", True), ("twice", False)]
    assert found["totals"] == {
        "exercises": 1, "right": 1, "revealed": 0, "wrong": 0, "untouched": 0,
        "optional": 1, "optional_right": 0, "minutes_left": 0,
    }  # fmt: skip
    assert "0 of 1 right" in studium("progress", "--course", str(workspace))[1]


def test_what_is_optional_takes_no_minutes_away(studium, workspace, further, journal_of):
    journal_of(workspace).write("sample", "merge", DONE)
    _, out, _ = studium("progress", "--course", str(workspace), "--json")
    (sample,) = [t for track in json.loads(out)["tracks"] for t in track["topics"] if t["slug"] == "sample"]
    assert (sample["status"], sample["minutes_left"]) == ("begun", sample["minutes"])


def test_progress_breaks_the_name_of_no_lesson_at_80_columns(studium, workspace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = studium("progress", "--course", str(workspace))
    first = [line.split()[0] for line in out.splitlines() if " min" in line]
    assert {entry.topic.slug for entry in load_catalogue().entries if not entry.topic.opener} == set(first)


def test_the_table_of_progress_fits_into_80_columns_without_breaking_a_word():
    rows = [(topic.slug, "begun", *"7777", "1 of 2 right", "135 min") for topic in load_catalogue().topics]
    assert None not in _widths([HEADER, *rows], "lesson", 80 - 2 * len(HEADER))


def test_progress_counts_named_mistakes_that_are_overcome_and_predictions(studium, workspace, failed, journal_of):
    journal = journal_of(workspace)
    assert "0 of 1 named mistakes overcome" in studium("progress", "--course", str(workspace))[1]
    journal.write("sample", "merge", DONE)
    journal.predict("sample", "ratio", 10)
    journal.found("sample", "ratio", 12.5)
    out = studium("progress", "--course", str(workspace))[1]
    assert out.splitlines()[-2:] == ["1 of 1 named mistakes overcome", "0 of 1 predictions hit"]


def test_progress_goes_to_another_folder_in_a_file(studium, workspace, failed, tmp_path):
    file, other = tmp_path / "my.json", tmp_path / "other"
    other.mkdir()
    assert studium("progress", "--course", str(workspace), "--export", str(file))[0] == 0
    assert (
        studium("progress", "--course", str(other), "--import", str(file))[1]
        == "1 entries added, 0 were already there\n"
    )
    file.write_text(file.read_text().replace("merge", "marge"))
    code, _, err = studium("progress", "--course", str(other), "--import", str(file))
    assert (code, "damaged in transit" in err) == (1, True)


def test_a_short_answer_is_shared_as_text_and_read_again(studium, path, failed):
    _, code, _ = studium("progress", "--share", f"{path}:merge")
    assert studium("progress", "--read", code.strip())[1] == f"# sample: merge\n{UNSCALED}\n"


def test_settings_are_changed_and_a_wrong_one_is_refused(studium, workspace):
    _, out, _ = studium("progress", "--course", str(workspace), "--set", "reveal_after=3", "--set", "limit=20")
    assert (json.loads(out)["reveal_after"], json.loads(out)["limit"]) == (3, 20.0)
    for change, words in [("limit=0", "range"), ("limt=3", "did you mean 'limit'"), ("limit", "NAME=VALUE")]:
        code, _, err = studium("progress", "--course", str(workspace), "--set", change)
        assert (code, words in err) == (2, True)


def test_hints_come_in_turn_and_the_solution_after_an_attempt(studium, path):
    assert studium("hint", str(path), "merge")[1] == "Hint 1 of 2: What is the shape of B @ A?\n"
    assert studium("hint", str(path), "merge")[1].count("Hint") == 2
    code, _, err = studium("hint", str(path), "merge", "--reveal")
    assert (code, "try first" in err) == (1, True)


def test_hints_after_an_attempt_are_refused_before_it(studium, workspace, path, request):
    studium("progress", "--course", str(workspace), "--set", "hints_after=1")
    code, out, err = studium("hint", str(path), "merge")
    assert (code, out) == (1, "")
    assert "try first: hints come after an attempt at merge; check an answer" in err
    request.getfixturevalue("failed")
    assert studium("hint", str(path), "merge")[1] == "Hint 1 of 2: What is the shape of B @ A?\n"


def test_a_reveal_is_honest(studium, path, failed):
    assert "alpha / a.shape[0]" in studium("hint", str(path), "merge", "--reveal")[1]
    state = json.loads(studium("hint", str(path), "merge", "--json")[1])["state"]
    assert (state["status"], state["by_yourself"]) == ("revealed", False)


def test_reset_history_and_restore(studium, path, failed):
    _, out, _ = studium("reset", str(path), "merge", "--json")
    version = json.loads(out)["version"]
    assert "NotImplementedError" in sources(path)["sample-merge"]
    assert UNSCALED in studium("reset", str(path), "merge", "--history")[1]
    assert studium("reset", str(path), "merge", "--restore", version)[0] == 0
    assert sources(path)["sample-merge"] == UNSCALED


def test_update_shows_then_does_then_undoes(studium, path, sample, failed):
    assert "up to date" in studium("update", str(path))[1]
    file = sample.folder / "sample_topic" / "lesson.py"
    file.write_text(file.read_text().replace("A question first.", "A better question first."))
    assert "nothing has been changed yet" in studium("update", str(path))[1]
    before = path.read_text()
    assert "--undo restores the notebook" in studium("update", str(path), "--apply")[1]
    assert "A better question" in path.read_text()
    assert sources(path)["sample-merge"] == UNSCALED
    studium("update", str(path), "--undo")
    assert path.read_text() == before


def test_review_asks_and_answers(studium, workspace, failed, monkeypatch):
    _, out, _ = studium("review", "--course", str(workspace), "--json")
    (question,) = json.loads(out)["questions"]
    choice = question["choices"].index(MISTAKE)
    monkeypatch.setattr("typer.prompt", lambda text: str(choice + 1))
    _, out, _ = studium("review", "--course", str(workspace))
    assert question["code"] in out
    assert f"Right. {MISTAKE}" in out
    assert "nothing more is due until" in out
    code, _, err = studium("review", "--course", str(workspace), "--answer", "x")
    assert (code, "CARD=CHOICE" in err) == (2, True)


def test_a_workspace_that_is_not_there_gets_a_sentence(studium, tmp_path):
    code, _, err = studium("next", "--course", str(tmp_path / "none"))
    assert (code, "does not exist; name yours" in err) == (2, True)


def test_watch_checks_again_at_each_save_until_all_is_right(path, data_folder):
    command = [sys.executable, "-m", "studium", "watch", str(path)]
    with child(command, stdout=subprocess.PIPE, env=os.environ | {"COLUMNS": "200"}) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Not attempted yet: merge") for line in lines)
        assert any(line.startswith("0 of 2 exercises right") for line in lines)
        write_answer(path, UNSCALED)
        assert any(line.startswith("Not right yet: merge, 1 of 3 points") for line in lines)
        write_answer(path, "def twice(x):\n    return 2 * x", "twice")
        assert any(line.startswith("1 of 2 exercises right") for line in lines)
        write_answer(path, RIGHT)
        assert any("all is right" in line for line in lines)
        assert process.wait(30) == 0


def test_calibrate_measures_exercises_and_experiments_and_keeps_the_labels(studium, sample, store):
    code, out, _ = studium("calibrate", "sample", "--profile", "smoke", "--json")
    assert code == 0
    labels = json.loads(out)["labels"]
    assert [one["exercise"] for one in labels] == ["merge", "twice", ""]
    assert all(one["mb"] > 50 and one["seconds"] >= 0 for one in labels)
    assert set(read_labels(store, "sample")) == {("sample", one["cell"]) for one in labels}


def test_a_label_says_time_and_memory():
    for seconds, mb, text in [
        (40, 900, "about 40 s here, needs 0.9 GB"),
        (0.2, 10, "under a second here, needs 0.1 GB"),
        (200, 2048, "about 3 min here, needs 2.0 GB"),
    ]:
        assert label_text(seconds, mb) == text


def test_a_cell_that_would_be_killed_is_refused_and_another_is_not():
    assert refusal(Label("lora", "x", 1, 10, "laptop"), "lora") == ""
    why = refusal(Label("lora", "x", 1, 10_000_000, "laptop"), "lora")
    assert 'it would be killed; close other notebooks, or open the lesson smaller: open_lesson("lora", "smoke")' in why


def test_a_kernel_refuses_the_code_of_such_a_cell_before_it_runs(sample, store, capsys):
    from IPython.core.interactiveshell import InteractiveShell
    from studium.desk.labels import keep_labels
    from studium.desk.memory_guard import guard_memory, remove_guard
    from studium.topics.profiles import Profile

    keep_labels(store, [Label("sample", "large", 1, 10_000_000, "smoke"), Label("sample", "small", 1, 10, "smoke")])
    shell = InteractiveShell.instance()
    guard_memory(shell, "sample", Profile("smoke"))
    try:
        refused = shell.run_cell("reached = 1", cell_id="large")
        assert not refused.success
        assert "reached" not in shell.user_ns
        assert "it would be killed" in capsys.readouterr().out
        assert shell.run_cell("reached = 1", cell_id="small").success
        assert shell.run_cell("reached = 2").success
    finally:
        remove_guard(shell)
        InteractiveShell.clear_instance()


def test_checking_from_the_terminal_is_an_attempt(studium, path, open_lesson):
    write_answer(path, UNSCALED)
    code, out, _ = studium("check", str(path), "--exercise", "merge")
    assert (code, MISTAKE in out) == (1, True)
    assert open_lesson().state("merge").attempts == 1
    assert open_lesson().state("merge").checked_at <= time.time_ns() // 1_000_000
