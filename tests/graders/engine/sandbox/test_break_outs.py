"""No break-out succeeds at the level that promises to stop it; without a sandbox each one does."""

import os
import sys

import pytest
from studium_graders.engine.sandbox import Level, probe

from .attempts import AT_L0, AT_L2_ALONE, ATTEMPTS, NEEDS_ROOT

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a sandbox needs Linux"),
    pytest.mark.xdist_group("break-outs"),
]
ROOT = os.geteuid() == 0
FOUND = probe() if sys.platform.startswith("linux") else None
USERS = [pytest.param(0, marks=pytest.mark.heavy), 65534] if ROOT else [os.geteuid()]  # the grader is root, or is not
at_l2 = pytest.mark.skipif(FOUND is None or FOUND.level < Level.L2, reason="this machine has no L2")


@at_l2
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_break_out_succeeds_without_a_sandbox(attacked, name):
    if not ROOT and name in NEEDS_ROOT | {"become root by a setuid program"}:
        pytest.skip("it needs root even without a sandbox")
    out, said = attacked("none,L0")["outcomes"]["none"][name]
    assert out, f"the check of {name!r} can never fail: {said}"


@at_l2
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("level", ["L1", "L2", "L2 foreseen"])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_break_out_fails_in_the_sandbox(attacked, name, level, user):
    if level == "L1" and name in AT_L2_ALONE:
        pytest.skip("L1 does not promise this")
    out, said = attacked("L1,L2,L2 foreseen", user)["outcomes"][level][name]
    assert not out, f"{name!r} got out of {level}: {said}"


@at_l2
@pytest.mark.parametrize("name", sorted(AT_L0))
def test_clean_processes_have_limits_and_nothing_inherited(attacked, name):
    out, said = attacked("none,L0")["outcomes"]["L0"][name]
    assert not out, f"{name!r} got out of L0: {said}"


@at_l2
def test_l0_holds_nobody_who_wants_to_get_out(attacked):
    outcomes = attacked("none,L0")["outcomes"]["L0"]
    assert all(outcomes[name][0] for name in ("read the gradebook", "connect by tcp", "signal the parent"))


@at_l2
@pytest.mark.parametrize("user", USERS)
def test_without_namespaces_there_is_l1_and_it_holds(attacked, user):
    tried = attacked("L1", user, "namespaces")
    assert tried["level"] == "L1"
    assert "namespaces" in tried["reasons"]["L2"]
    assert [name for name, (out, _) in tried["outcomes"]["L1"].items() if out and name not in AT_L2_ALONE] == []


@at_l2
@pytest.mark.parametrize("user", USERS)
def test_without_landlock_namespaces_hold_alone(attacked, user):
    tried = attacked("L2", user, "landlock")
    assert (tried["level"], tried["abi"]) == ("L2", 0)
    assert [name for name, (out, _) in tried["outcomes"]["L2"].items() if out] == []


def test_with_neither_there_is_l0_and_each_reason_is_a_sentence(attacked):
    tried = attacked("L0", os.geteuid(), "namespaces,landlock")
    assert tried["level"] == "L0"
    assert "namespaces" in tried["reasons"]["L2"]
    assert "Landlock" in tried["reasons"]["L1"]
