from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from unittest.mock import Mock

import nbformat
import pytest
from studium import cli
from studium.catalogue.catalogue import load_catalogue
from studium.cli.output import print_json, print_table
from studium.desk.workspace import START, build_workspace
from studium.exercises.checking import ExerciseResult
from studium.notebooks.editions import compile_lesson, compile_solution, exercise_of, role
from studium.notebooks.files import write_notebook, write_text

PROMISED = {"topic", "claim", "paper", "measured", "threshold", "holds", "seconds", "peak_mb", "profile", "device"}


@pytest.fixture
def lesson(sample, tmp_path):
    """A function that writes the sample lesson with some answers and gives its path."""

    def lesson(**answers):
        catalogue = load_catalogue()
        notebook = compile_lesson(catalogue["sample"], catalogue.manager)
        for cell in notebook.cells:
            if role(cell) == "exercise" and exercise_of(cell) in answers:
                cell.source = answers[exercise_of(cell)]
        write_notebook(notebook, tmp_path / "lesson.ipynb")
        return tmp_path / "lesson.ipynb"

    return lesson


def test_topics_as_json_has_the_promised_keys_and_the_list_for_people_the_package(sample, studium):
    code, out, _ = studium("topics", "--json")
    listed = json.loads(out)
    (topic,) = [topic for topic in listed["topics"] if topic["slug"] == "sample"]
    assert topic == {
        "slug": "sample",
        "title": "Sample",
        "track": "Samples",
        "distribution": "studium-topic-sample",
        "version": "1.0",
        "needs": [],
        "papers": [{"title": "LoRA", "year": 2021, "arxiv": "2106.09685"}],
    }
    assert (code, listed["problems"]) == (0, [])
    assert "studium-topic-sample 1.0" in studium("topics")[1]


def test_topics_with_a_slug_lists_its_exercises_with_what_they_ask_for(sample, studium):
    code, out, _ = studium("topics", "sample")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["merge", "core", "write", "the", "lesson", "uses", "it", "3", "5", "min"],
        ["twice", "core", "write", "the", "lesson", "uses", "it", "1", "1", "min"],
    ]
    assert out.endswith("Sample: 4 points, 60 min with the reading\n")
    _, out, _ = studium("topics", "sample", "--json")
    found = json.loads(out)
    assert (found["slug"], found["minutes"]) == ("sample", 60)
    assert found["exercises"][1] == {
        "id": "twice", "level": "core", "kind": "write", "importance": 2, "points": 1, "minutes": 1, "optional": False,
    }  # fmt: skip


def test_topics_reports_a_broken_plugin_and_exits_with_0(sample, studium):
    sample.install("broken", {"broken": "broken_topic"}, {"broken_topic.py": "raise RuntimeError('no luck')"})
    code, out, _ = studium("topics", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["entry_point"], problem["distribution"]) == (0, "broken", "broken")


def test_topics_exits_with_1_where_two_distributions_claim_one_slug(sample, studium):
    sample.topic(package="twin_topic", distribution="twin")
    code, _, err = studium("topics")
    assert code == 1
    assert "studium-topic-sample and twin" in err


def test_a_usage_error_is_one_sentence_and_exit_code_2(sample, studium):
    for arguments, code, words in [
        (["topcs"], 2, "Did you mean 'topics'"),
        (["topics", "sampel"], 2, "did you mean 'sample'?"),
        (["reproduce", "smaple"], 2, "did you mean 'sample'?"),
        (["reproduce"], 2, "name one or more topics, or pass --all"),
        (["reproduce", "sample", "--profile", "lap"], 2, "did you mean 'laptop'?"),
        (["check", "nowhere.ipynb"], 2, "the file nowhere.ipynb does not exist"),
        (["check", "."], 2, "is a folder"),
    ]:
        got, _, err = studium(*arguments)
        assert (got, words in " ".join(err.split())) == (code, True), err
        assert "Traceback" not in err


def test_a_file_that_is_no_notebook_is_one_sentence_and_exit_code_1(studium, tmp_path):
    for content in [
        "",
        "not json",
        '{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        "[]",
        "\x00",
        "{}",
    ]:
        path = tmp_path / "broken.ipynb"
        path.write_text(content)
        code, out, err = studium("check", str(path), "--json")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"studium: {path} ")


def test_a_notebook_of_no_topic_says_so(studium, tmp_path):
    path = tmp_path / "foreign.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    code, _, err = studium("check", str(path))
    assert (code, "does not name its topic" in err) == (1, True)


def test_a_notebook_of_the_instructors_own_is_told_from_one_that_has_lost_its_first_cell(studium, tmp_path):
    path = tmp_path / "own.ipynb"
    cell = nbformat.v4.new_code_cell("assert mean([1, 3]) == 2", metadata={"nbgrader": {"grade": True}})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    code, _, err = studium("check", str(path))
    assert (code, err.endswith("has no topic: run its cells from the top to check it\n")) == (1, True)
    cell.metadata["studium"] = {"role": "test"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert "does not name its topic" in studium("check", str(path))[2]


def test_check_as_json_has_the_promised_keys(lesson, studium):
    path = lesson(merge="def merge(weight, a, b, alpha):\n    return weight + alpha * (b @ a)")
    code, out, _ = studium("check", str(path), "--json")
    merge, twice = json.loads(out)["exercises"]
    assert code == 1
    assert {key: merge[key] for key in ("id", "outcome", "points", "max_points", "mistake", "mistake_id")} == {
        "id": "merge",
        "outcome": "wrong",
        "points": 1.0,
        "max_points": 3.0,
        "mistake": "You scaled by alpha; LoRA scales by alpha / r.",
        "mistake_id": "sample.merge:scaled-by-alpha",
    }
    assert merge["tests"][0] == {"name": "keeps the shape of weight", "passed": True, "points": 1.0, "message": ""}
    assert twice["outcome"] == "not attempted"


@pytest.mark.heavy
def test_check_of_a_solved_lesson_is_all_right(sample, studium, tmp_path):
    catalogue = load_catalogue()
    write_notebook(compile_solution(catalogue["sample"], catalogue.manager), tmp_path / "solved.ipynb")
    code, out, _ = studium("check", str(tmp_path / "solved.ipynb"))
    assert (code, "2 of 2 exercises right, 4 of 4 points" in out) == (0, True)


def test_check_survives_lost_metadata_and_ids_and_uses_the_learners_helper_cells_and_their_magics(lesson, studium):
    path = lesson(twice="def twice(x):\n    return factor * x")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell("%time factor = 2\nfactor = 2"))
    notebook.metadata = {}
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell["id"] = {}, f"c{number}"
    nbformat.write(notebook, path)
    _, out, _ = studium("check", str(path), "--exercise", "twice", "--json")
    assert json.loads(out)["exercises"][0]["outcome"] == "right"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param("while True:\n    pass", "stopped after 2 s", marks=pytest.mark.heavy),
        ("def twice(x):\n    while True:\n        pass", "stopped after 2 s"),
        pytest.param("import os\nos._exit(7)", "ended early (exit code 7)", marks=pytest.mark.heavy),
        ("def twice(x):\n    import os\n    os._exit(8)", "ended early (exit code 8)"),
        pytest.param("def twice(x:\n    return 1", "SyntaxError", marks=pytest.mark.heavy),
        pytest.param("1 / 0\ndef twice(x):\n    return 2 * x", "ZeroDivisionError", marks=pytest.mark.heavy),
    ],
)
def test_an_answer_that_hangs_crashes_or_does_not_run_costs_itself_alone(lesson, studium, answer, message):
    right = "def merge(weight, a, b, alpha):\n    return weight + alpha / len(a) * (b @ a)"
    _, out, _ = studium("check", str(lesson(merge=right, twice=answer)), "--limit", "2", "--json")
    merge, twice = json.loads(out)["exercises"]
    assert (merge["outcome"], twice["outcome"]) == ("right", "wrong")
    assert message in twice["tests"][0]["message"]


def test_check_of_an_untouched_lesson_exits_with_0_and_changes_nothing(lesson, studium):
    path = lesson()
    before = path.read_bytes()
    code, out, _ = studium("check", str(path))
    assert (code, "0 of 2 exercises right, 0 of 4 points" in out) == (0, True)
    assert path.read_bytes() == before


def test_reproduce_as_json_has_the_promised_keys(sample, measured_here, studium):
    code, out, _ = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1", "--json")
    first = json.loads(out)["claims"][0]
    assert (code, first["published"]) == (0, None)
    assert set(first) >= PROMISED


def test_reproduce_exits_with_1_where_a_claim_does_not_hold(sample, measured_here, studium):
    path = sample.folder / "sample_topic" / "experiment.py"
    path.write_text(path.read_text().replace("at_least=0.05", "at_least=5.0"))
    code, out, _ = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1")
    assert (code, "does not hold" in out) == (1, True)


def test_reproduce_passes_a_failed_experiment_goes_on_where_a_stopped_run_was_and_measures_changed_code_anew(
    sample, studium
):
    sample.topic(slug="other", package="other_topic")
    experiment = sample.folder / "other_topic" / "experiment.py"
    right = experiment.read_text()
    experiment.write_text(right.replace("    return", "    import os; os._exit(9)\n    return"))
    command = ("reproduce", "sample", "other", "--profile", "smoke", "--seeds", "1", "--jobs", "2", "--json")
    code, out, err = studium(*command)
    assert (code, {claim["topic"] for claim in json.loads(out)["claims"]}) == (1, {"sample"})
    assert "an experiment of other ended early: " in err
    first = json.loads(out)["claims"]
    experiment.write_text(right)
    code, out, _ = studium(*command, "--resume")
    claims = json.loads(out)["claims"]
    assert code == 0
    assert [claim for claim in claims if claim["topic"] == "sample"] == first  # to the hundredth of a second
    assert len(claims) == 2 * len(first)
    path = sample.folder / "sample_topic" / "experiment.py"
    path.write_text(path.read_text().replace("choose(smoke=0.5", "choose(smoke=0.6"))
    _, out, _ = studium(*command, "--resume")
    assert json.loads(out)["claims"][0]["measured"] == pytest.approx(0.6)


def test_reproduce_without_a_reference_says_what_is_missing(sample, studium):
    (sample.folder / "sample_topic" / "reference.py").unlink()
    code, _, err = studium("reproduce", "sample", "--profile", "smoke")
    assert (code, "has no reference.py, as on student machines" in err) == (1, True)


def test_a_table_breaks_no_word_where_the_terminal_has_room_for_the_longest(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [
        ("Adapting and using LLMs", "classifier-guidance", "Classifier-guided diffusion", "120 min", "studium 0.1.0"),
        ("Diffusion", "ncsn", "Score matching and noise-conditional score networks", "130 min", "studium 0.1.0"),
    ]
    print_table(("track", "slug", "title", "time", "from"), rows, whole="slug")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sorted(" ".join(lines[1:]).split()) == sorted(" ".join(map(" ".join, rows)).split())


def test_a_narrow_table_cuts_no_word_and_wraps_no_name_that_is_typed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("slug", "title"), [("classifier-guidance", "Noise-conditional-score-networks again")], whole="slug")
    out = capsys.readouterr().out
    assert ("classifier-guidance" in out, "…" in out) == (True, False)
    assert "Noise-conditional-score-networks" in "".join(line[21:].strip() for line in out.splitlines())


def test_a_table_keeps_text_in_square_brackets(capsys):
    print_table(("what",), [("pip install 'studium[grade]' :smile:",)])
    assert "'studium[grade]' :smile:" in capsys.readouterr().out


def test_names_of_files_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("student",), [("\x1b[2Jann\r\u202ebob\x9b1m",), ("Zoë \U0001f469\u200d\U0001f680",)])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == ["\\x1b[2Jann\\r\\u202ebob\\x9b1m", "Zoë \U0001f469\u200d\U0001f680"]


def test_doctor_names_a_broken_plugin_and_exits_with_1(sample, studium):
    assert studium("doctor")[0] == 0
    sample.install("broken", {"broken": "broken_topic"}, {"broken_topic.py": "raise RuntimeError('no luck')"})
    code, out, _ = studium("doctor", "--json")
    assert code == 1
    assert [finding["what"] for finding in json.loads(out)["findings"] if not finding["fine"]] == ["plugin broken"]


def small():
    """The catalogue of the topics that the test has installed: no lesson of ours has to be read here."""
    catalogue = load_catalogue()
    strangers = tuple(entry for entry in catalogue.entries if entry.topic.slug in ("sample", "worse"))
    return replace(catalogue, entries=strangers)


def test_the_start_page_counts_what_is_optional_apart(sample, tmp_path):
    lesson = sample.folder / "sample_topic" / "lesson.py"
    lesson.write_text(lesson.read_text().replace("# And then.", "# ## Further"))
    build_workspace(small(), tmp_path / "work")
    assert "*60 minutes, 1 exercise, 1 optional*" in (tmp_path / "work" / START).read_text()


def test_a_topic_that_is_broken_inside_does_not_close_the_others(sample, tmp_path):
    sample.topic(slug="worse", package="worse_topic")
    (sample.folder / "worse_topic" / "exercises.py").write_text("import nowhere")
    workspace = build_workspace(small(), tmp_path / "work")
    assert list(workspace.made) == ["sample"]
    assert "topic worse needs worse_topic.exercises, which does not import" in workspace.problems[0]
    assert "worse" not in (tmp_path / "work" / START).read_text()


def test_a_workspace_has_each_lesson_and_a_start_page_and_keeps_answers(sample, tmp_path):
    assert "sample" in build_workspace(small(), tmp_path / "work").made
    assert "[Sample](sample.ipynb)" in (tmp_path / "work" / START).read_text()
    (tmp_path / "work" / "sample.ipynb").write_text("my answers")
    assert "sample" in build_workspace(small(), tmp_path / "work").kept
    assert (tmp_path / "work" / "sample.ipynb").read_text() == "my answers"


def test_a_workspace_that_is_a_file_is_refused(sample, studium, tmp_path):
    (tmp_path / "work").write_text("")
    code, _, err = studium("lab", "--course", str(tmp_path / "work"), "--no-browser")
    assert (code, "is a file; name another with --course" in err) == (1, True)


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(monkeypatch, tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text("new", path)
    assert [item.name for item in tmp_path.iterdir()] == ["old.txt"]
    assert path.read_text() == "old"


def test_a_full_disk_during_lab_is_one_sentence(sample, studium, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "load_catalogue", small)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = studium("lab", "--course", str(tmp_path / "work"), "--no-browser")
    assert (code, err) == (1, "studium: No space left on device; nothing was lost\n")


def test_a_plugin_can_add_a_command(sample, studium):
    text = """
        from studium import hookimpl

        @hookimpl
        def studium_commands(app):
            @app.command()
            def hello():
                print("hello from a plugin")
    """
    sample.install("greeter", {"greeter": "greeter"}, {"greeter.py": text})
    assert studium("hello") == (0, "hello from a plugin\n", "")


def test_python_m_studium_is_the_same_command():
    command = [sys.executable, "-m", "studium", "--version"]
    got = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert got.stdout.startswith("studium ")


def test_a_result_travels_as_json_and_back():
    import msgspec

    result = ExerciseResult("merge", "right", 1.0, 1.0, [])
    assert msgspec.json.decode(msgspec.json.encode(result), type=ExerciseResult) == result


PROGRAM = """
import atexit, sys
atexit.register(print, "the end")
sys.argv = ["studium", *{arguments!r}]
from studium.cli import main
main()
"""


HEAVY = pytest.mark.heavy


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        pytest.param(["--version"], 0, "studium", marks=HEAVY),
        (["check", "damaged.ipynb"], 1, ""),
        pytest.param(["nonsense"], 2, "", marks=HEAVY),
    ],
)
def test_a_command_ends_at_once_with_its_code_and_all_that_it_said(arguments, code, out, tmp_path):
    (tmp_path / "damaged.ipynb").write_text("no notebook")
    command = [sys.executable, "-c", PROGRAM.format(arguments=arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert done.returncode == code
    assert done.stdout.startswith(out)
    assert done.stdout.endswith("the end\n")
    assert bool(done.stderr) == bool(code)


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "studium", "--version"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_command_that_is_stopped_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["studium", "topics"])
    monkeypatch.setattr("studium.cli.topics.print_table", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit) as end:
        cli.run()
    assert (end.value.code, capsys.readouterr().err) == (130, "studium: stopped\n")


def test_a_terminal_that_lacks_a_letter_gets_another_one_and_json_is_utf_8(monkeypatch):
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, "ascii"))
    monkeypatch.setattr(cli, "run", lambda: (print_table(["name"], [["Zoë"]]), print_json({"name": "Zoë"})))
    monkeypatch.setattr("os._exit", lambda code: None)
    monkeypatch.setattr("atexit._run_exitfuncs", lambda: None)
    cli.main()
    table, json_text = printed.getvalue().split(b"{")
    assert b"Zo?" in table
    assert json.loads(b"{" + json_text) == {"name": "Zoë"}


def test_a_command_whose_output_is_closed_ends_well():
    command = ["bash", "-c", '"$0" -m studium --version >&-', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
