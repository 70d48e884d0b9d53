"""What an operator decides for the desks of a machine: defaults, locks, the address of the course server."""

from __future__ import annotations

import json

import pytest
from studium.classroom.connections import connections
from studium.cli.diagnosis import diagnose
from studium.desk import operator_defaults
from studium.desk.operator_defaults import read_defaults
from studium.desk.settings import change_settings, read_settings
from studium.errors import StudiumError, UsageError

FILE = 'locked = ["warm"]\nclassroom = "https://classroom.example.org"\n\n[settings]\nwarm = false\nlimit = 30\n'


@pytest.fixture
def operator(tmp_path, monkeypatch):
    """operator(text) → the operator's file with this text, named by the environment."""

    def write(text: str = FILE):
        path = tmp_path / "desk.toml"
        path.write_text(text, "utf-8")
        monkeypatch.setenv("STUDIUM_DEFAULTS", str(path))
        return path

    return write


def test_a_default_of_the_operator_holds_until_the_learner_chooses_otherwise(operator, store):
    operator()
    assert (read_settings(store).limit, read_settings(store).reveal_after) == (30.0, 1)
    assert change_settings(store, {"limit": 90}).limit == 90.0


def test_a_locked_setting_stays_whatever_was_chosen_before_and_is_refused_in_one_sentence(operator, store):
    assert change_settings(store, {"warm": True}).warm is True
    operator()
    assert read_settings(store).warm is False
    with pytest.raises(UsageError, match="the operator of this machine has set warm"):
        change_settings(store, {"limit": 5, "warm": True})
    assert (read_settings(store).warm, read_settings(store).limit) == (False, 30.0)


def test_the_file_in_etc_counts_where_the_environment_names_none(tmp_path, store, monkeypatch):
    monkeypatch.delenv("STUDIUM_DEFAULTS", raising=False)
    monkeypatch.setattr(operator_defaults, "_PLACE", tmp_path / "etc.toml")
    assert read_settings(store).warm is True
    (tmp_path / "etc.toml").write_text(FILE, "utf-8")
    assert read_settings(store).warm is False


def test_a_file_that_cannot_be_used_is_one_sentence_and_no_lock_is_dropped_silently(operator, store):
    for text, words in [
        ("[settings]\nwarn = false\n", "unknown setting 'warn'; did you mean 'warm'?"),
        ('locked = ["limits"]\n', "unknown setting 'limits'"),
        ("[settings]\nlimit = 0\n", ">= 0.1"),
        ("warm = false\n", "warm"),
        ("[settings\n", "desk.toml"),
    ]:
        path = operator(text)
        with pytest.raises(StudiumError, match="the file with the operator's defaults must be usable") as told:
            read_settings(store)
        assert words in str(told.value)
        assert str(path) in str(told.value)


def test_a_file_that_is_named_and_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("STUDIUM_DEFAULTS", str(tmp_path / "none.toml"))
    with pytest.raises(StudiumError, match=r"none\.toml: No such file"):
        read_defaults()


def test_the_course_servers_address_is_for_those_who_have_a_hubs_token(operator, data_folder, monkeypatch):
    operator()
    monkeypatch.delenv("STUDIUM_CLASSROOM", raising=False)
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    assert connections() == []
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "token")
    assert [one.url for one in connections()] == ["https://classroom.example.org"]
    monkeypatch.setenv("STUDIUM_CLASSROOM", "https://spawner.example.org")
    assert [one.url for one in connections()] == ["https://spawner.example.org"]


def test_learners_and_operators_are_told(operator, studium, workspace):
    assert "operator" not in studium("progress", "--course", str(workspace))[1]
    path = operator()
    assert "The operator of this machine has set warm = false." in studium("progress", "--course", str(workspace))[1]
    code, _, err = studium("progress", "--course", str(workspace), "--set", "warm=true")
    assert (code, err.count("\n"), "ask them" in err) == (2, 1, True)
    code, out, _ = studium("doctor", "--json")
    (found,) = [row for row in json.loads(out)["findings"] if row["what"] == "defaults"]
    assert (found["found"], found["fine"]) == (f"{path}; locked: warm", True)


def test_without_a_file_the_doctor_says_nothing_of_it_and_with_a_bad_one_what_is_wrong(operator, sample, monkeypatch):
    from studium.catalogue.catalogue import load_catalogue

    monkeypatch.setattr(operator_defaults, "_PLACE", operator_defaults.Path("/none/desk.toml"))
    catalogue = load_catalogue()
    assert "defaults" not in {finding.what for finding in diagnose(catalogue)}
    operator("warm = 1\n")
    assert [finding.fine for finding in diagnose(catalogue) if finding.what == "defaults"] == [False]
