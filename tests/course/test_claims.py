from __future__ import annotations

import math
import subprocess
import sys
import textwrap

import pytest
from studium import Claim, Profile
from studium.catalogue.catalogue import load_catalogue
from studium.errors import TopicError
from studium.experiments.building_blocks import run_experiment
from studium.experiments.measuring import reproduce

LAPTOP, SMOKE = Profile("laptop"), Profile("smoke")


def claim(**bounds):
    return Claim("c", "2106.09685", lambda: None, float, **bounds)


def test_a_claim_needs_exactly_one_bound():
    for bounds in ({}, {"at_least": 1, "at_most": 2}):
        with pytest.raises(TopicError, match="give exactly one"):
            claim(**bounds)


def test_the_worst_seed_decides():
    assert claim(at_least=1).worst([3, 2, 4]) == 2
    assert claim(at_most=1).worst([3, 2, 4]) == 4
    assert math.isnan(claim(at_most=1).worst([3, math.nan]))


def test_a_claim_holds_on_the_right_side_of_its_threshold():
    assert claim(at_least=1).holds(1.0, LAPTOP) is True
    assert claim(at_most=1).holds(1.1, LAPTOP) is False
    assert claim(at_most=1).holds(math.nan, LAPTOP) is False


def test_a_profile_that_is_too_small_is_not_judged():
    assert claim(at_most=1).holds(5, SMOKE) is None
    assert claim(at_most=1, holds_from="smoke").holds(5, SMOKE) is False


def test_an_experiment_gets_its_building_blocks_from_the_reference(sample):
    topic = load_catalogue()["sample"]
    assert run_experiment(topic, topic.claims[0].experiment, SMOKE, 3) == pytest.approx(0.53)


def test_an_experiment_that_wants_something_else_is_an_error(sample):
    def other(unmerge, *, profile, seed): ...

    with pytest.raises(TopicError, match=r"other of sample takes 'unmerge', but reference\.py does not define it"):
        run_experiment(load_catalogue()["sample"], other, SMOKE, 0)


def test_reproducing_gives_one_row_a_claim_with_the_worst_seed(sample):
    first, second = reproduce(load_catalogue()["sample"], SMOKE, range(3))
    assert first.by_seed == pytest.approx([0.5, 0.51, 0.52])
    assert (first.measured, first.holds, second.measured, second.holds) == (0.52, None, 0.5, True)
    assert first.peak_mb > 0


@pytest.mark.heavy
def test_reproducing_says_how_much_memory_its_process_took(sample):
    script = """
        from studium import Profile
        from studium.catalogue.catalogue import load_catalogue
        from studium.experiments.measuring import reproduce

        first, *_ = reproduce(load_catalogue()["sample"], Profile("smoke"), range(3))
        print(first.peak_mb)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]  # a process of its own: other tests ran in this one
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert 0 < float(done.stdout) < 2000
