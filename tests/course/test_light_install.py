"""An installation without the extra ``topics``: our own topics wait for it, and everything else works without torch."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from studium.catalogue.catalogue import NO_TOPICS, load_catalogue
from studium.topics.profiles import Profile, choose_profile

from .test_catalogue import plugin

EXTRA = "Requires-Dist: httpx\nRequires-Dist: {needed}>=1; extra == 'heavy'\nProvides-Extra: heavy\n"


@pytest.fixture
def waiting(site):
    """waiting("numpy") → the catalogue with a topic that needs an extra, which asks for that distribution."""

    def install(needed):
        site.install("big", {"big": "big_topic [heavy]"}, {"big_topic.py": plugin("big")})
        with (site.folder / "big-1.0.dist-info" / "METADATA").open("a") as metadata:
            metadata.write(EXTRA.format(needed=needed))
        return load_catalogue()

    return install


@pytest.mark.parametrize(("needed", "found"), [("numpy", {"big"}), ("no-such-distribution", set())])
def test_a_topic_waits_for_the_extra_that_its_entry_point_names(waiting, needed, found):
    catalogue = waiting(needed)
    assert {topic.slug for topic in catalogue.topics} & {"big"} == found
    assert [problem for problem in catalogue.problems if "big_topic" in problem.error] == []


def test_each_of_our_own_topics_waits_for_the_extra_topics():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    values = project["entry-points"]["studium"].values()
    ours = [value for value in values if value.startswith("studium_topics.")]
    assert len(ours) > 20
    assert [value for value in ours if not value.endswith(" [topics]")] == []


def test_a_machine_without_torch_has_no_gpu(monkeypatch):
    monkeypatch.delenv("STUDIUM_PROFILE", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("studium.topics.profiles.available_mb", lambda: 4000)
    assert choose_profile() == Profile("laptop", "cpu")


def test_the_doctor_says_what_needs_torch_and_finds_nothing_wrong(monkeypatch, studium):
    monkeypatch.setitem(sys.modules, "torch", None)
    _, out, _ = studium("doctor")
    (line,) = [line for line in out.splitlines() if line.split()[1:2] == ["torch"]]
    assert line.startswith("ok  torch")
    assert "studium[topics]" in " ".join(out.split())


@pytest.mark.parametrize("command", [["topics"], ["lab", "--no-start", "--course", "lessons"]])
def test_where_no_topic_is_installed_the_command_says_how_to_get_some(command, studium, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("studium.catalogue.plugins.distributions", lambda **_: [])
    code, _, told = studium(*command)
    assert (code, NO_TOPICS in told) == (0, True)
