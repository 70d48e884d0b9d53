"""No break-out succeeds at the level that promises to stop it; without a sandbox each one does."""

import os
import sys

import pytest
from studium_graders.engine.sandbox import Level, probe

from .attempts import AT_L0, AT_L2_ALONE, NEEDS_ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a sandbox needs Linux")
ROOT = os.geteuid() == 0
FOUND = probe() if sys.platform.startswith("linux") else None
USERS = [pytest.param(0, marks=pytest.mark.heavy), 65534] if ROOT else [os.geteuid()]  # the grader is root, or is not
OUT_OF_L0 = ["read the gradebook", "connect by tcp", "signal the parent"]
at_l2 = pytest.mark.skipif(FOUND is None or FOUND.level < Level.L2, reason="this machine has no L2")


def got_out(outcomes):
    """What each break-out that succeeded has said, by its name."""
    return {name: said for name, (out, said) in outcomes.items() if out}


@pytest.mark.heavy
@at_l2
def test_each_break_out_succeeds_without_a_sandbox_else_its_check_could_never_fail(attacked):
    outcomes = attacked("none")["outcomes"]["none"]
    not_tried = set() if ROOT else NEEDS_ROOT | {"become root by a setuid program"}
    assert {name: said for name, (out, said) in outcomes.items() if not out and name not in not_tried} == {}


@at_l2
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "level", [pytest.param("L1", marks=pytest.mark.heavy), pytest.param("L2", marks=pytest.mark.heavy), "L2 foreseen"]
)
def test_no_break_out_succeeds_in_the_sandbox(attacked, level, user):
    allowed = AT_L2_ALONE if level == "L1" else set()
    out = got_out(attacked(level, user)["outcomes"][level])
    assert {name: said for name, said in out.items() if name not in allowed} == {}


@at_l2
def test_at_l0_clean_processes_have_limits_and_nothing_inherited_and_hold_nobody_who_wants_to_get_out(attacked):
    names = ",".join([*sorted(AT_L0), *OUT_OF_L0])
    assert sorted(got_out(attacked("L0", names=names)["outcomes"]["L0"])) == sorted(OUT_OF_L0)


@at_l2
@pytest.mark.parametrize("user", USERS)
def test_without_namespaces_there_is_l1_and_it_holds(attacked, user):
    tried = attacked("L1", user, "namespaces")
    assert tried["level"] == "L1"
    assert "namespaces" in tried["reasons"]["L2"]
    assert got_out(tried["outcomes"]["L1"]).keys() <= AT_L2_ALONE


@at_l2
@pytest.mark.parametrize("user", USERS)
def test_without_landlock_namespaces_hold_alone(attacked, user):
    tried = attacked("L2", user, "landlock")
    assert (tried["level"], tried["abi"]) == ("L2", 0)
    assert got_out(tried["outcomes"]["L2"]) == {}


def test_with_neither_there_is_l0_and_each_reason_is_a_sentence(attacked):
    tried = attacked("L0", os.geteuid(), "namespaces,landlock", "use a file that was open")
    assert tried["level"] == "L0"
    assert "namespaces" in tried["reasons"]["L2"]
    assert "Landlock" in tried["reasons"]["L1"]
