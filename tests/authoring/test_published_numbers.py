"""A claim with numbers of a paper says where in the paper they are."""

from __future__ import annotations

import pytest
from studium.authoring.metadata import metadata
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE, Damage

IMPORT = Damage(
    "",
    "metadata",
    "experiment.py",
    "from studium import Claim, Profile, Published",
    "from studium import Claim, Profile",
)


def claiming(source: str) -> Damage:
    """The sample topic's claim with two numbers from that source."""
    numbers = f'Published("{source}", {{"one": 1, "two": 2}}, "%", lambda views, name: len(name), "letters", "It is.")'
    return Damage(
        "", "metadata", "experiment.py", f'holds_from="smoke",\n        published={numbers},', 'holds_from="smoke",'
    )


@pytest.fixture
def advice(copy_sample):
    """advice(source) → what `metadata` advises for numbers from that source."""

    def run(source):
        with open_subject(str(copy_sample(IMPORT, claiming(source))), SMOKE) as subject:
            return list(metadata(subject).advice)

    return run


def test_a_source_without_a_place_in_the_paper_is_advised_against(advice):
    for source in ["Gu et al. 2021", "Gu et al. 2021, see the tables", "the paper", "Gu 2021, figures"]:
        (told,) = advice(source)
        assert f"need the table, figure or section they come from: got '{source}'" in told


def test_a_source_with_a_place_in_the_paper_is_enough(advice):
    for place in ["Table 5", "table A1", "Figure 2", "section 4.1", "abstract"]:
        assert advice(f"Gu et al. 2021, {place}") == []


def test_the_missing_place_fails_the_check_only_where_advice_counts(copy_sample):
    folder = copy_sample(IMPORT, claiming("Gu et al. 2021"))
    for strict in (False, True):
        with open_subject(str(folder), SMOKE) as subject:
            report = check_topic(subject, only=["metadata"], known=["imports"], strict=strict)
        assert [check.passed for check in report.checks if check.name == "metadata"] == [not strict]
