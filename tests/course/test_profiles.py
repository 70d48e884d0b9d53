from __future__ import annotations

import pytest
from studium import Profile, StudiumError
from studium.topics import profiles
from studium.topics.profiles import available_mb, choose_profile


def test_a_machine_without_a_gpu_and_with_memory_gets_laptop(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: False)
    monkeypatch.setattr(profiles, "available_mb", lambda: 4000)
    assert choose_profile() == Profile("laptop", "cpu")


def test_a_machine_with_little_memory_gets_smoke(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: False)
    monkeypatch.setattr(profiles, "available_mb", lambda: 700)
    assert choose_profile() == Profile("smoke", "cpu")


def test_a_machine_with_a_gpu_gets_gpu(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: True)
    assert choose_profile() == Profile("gpu", "cuda")


def test_the_environment_chooses_where_nobody_else_does(monkeypatch):
    monkeypatch.setenv("STUDIUM_PROFILE", "smoke")
    assert choose_profile().name == "smoke"
    assert choose_profile("laptop").name == "laptop"


def test_an_unknown_profile_is_answered_with_the_nearest():
    with pytest.raises(StudiumError, match="did you mean 'laptop'"):
        choose_profile("latop")


def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(profiles, "_cuda", lambda: False)
    with pytest.raises(StudiumError, match="use cpu"):
        choose_profile("laptop", "cuda")


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    limit.write_text(f"{300 * 2**20}\n")
    used.write_text(f"{100 * 2**20}\n")
    monkeypatch.setattr(profiles, "_CGROUP_FILES", [(limit, used)])
    assert available_mb() == 200
    limit.write_text("max\n")
    assert available_mb() > 200


def test_a_profile_chooses_its_own_value():
    assert Profile("laptop").choose(smoke=1, laptop=2, gpu=3) == 2
