"""Every test of a topic runs apart from the answer, and ``studium topic check`` finds one that does not."""

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium_graders.grading.apart_check import problems, together

from tests.authoring.conftest import SMOKE, copy_sample  # noqa: F401
from tests.authoring.damages import DAMAGES

OURS = [entry.topic for entry in load_catalogue().entries if entry.distribution == "studium"]
IN_EACH_RUN = {"four-minutes", "kv-caching"}  # whose exercises are a file and a folder
TOPICS = [pytest.param(one, id=one.slug, marks=() if one.slug in IN_EACH_RUN else pytest.mark.heavy) for one in OURS]
PEAK = """    from studium_topics.kits.peak import PeakTensor
    with PeakTensor() as meter:
        heard = response(2, 0.5, 7)
    assert meter.largest < 10
"""
CHANGES = "it changes a value that it has passed to the answer, or got from it; clone it first"
WATCHES = "limit the answer's memory with studium.at_most_mb instead"


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_test_runs_apart(topic):
    assert together(topic) == {}


@pytest.fixture
def said(copy_sample):  # noqa: F811
    """said(damage) → what the check says of a copy of the sample topic with that damage."""
    from studium.authoring.subject import open_subject

    def check(damage):
        with open_subject(str(copy_sample(damage)), SMOKE) as subject:
            return list(problems(subject.topic))

    return check


def test_a_test_that_changes_a_value_that_crossed_is_found(said):
    damage = next(damage for damage in DAMAGES if damage.check == "tests run apart")
    (problem,) = said(damage)
    assert problem.startswith("response/")
    assert problem.endswith(f"must run apart from the answer, but does not: {CHANGES}")


def test_a_test_that_watches_pytorch_is_found_though_its_text_does_not_say_so(said):
    damage = next(damage for damage in DAMAGES if damage.check == "tests run apart")
    (problem,) = said(type(damage)("a meter", damage.check, damage.file, PEAK + damage.old, damage.old))
    assert problem.endswith(WATCHES)
