"""Every right answer of the corpus is accepted, every wrong one refused, and what a sentence was judged to be holds."""

from __future__ import annotations

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check

from .corpus import answers, judgements, slugs


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue()


def test_each_topic_has_ten_wrong_answers_and_three_right_ones(catalogue):
    for topic in (
        entry.topic for entry in catalogue.entries if entry.distribution == "studium" and not entry.topic.opener
    ):
        labels = [answer.label for answer in answers(topic.slug)]
        assert len(list(filter(None, labels))) == 10, topic.slug
        assert labels.count("") >= 3, topic.slug


@pytest.mark.sample(3)
@pytest.mark.parametrize("slug", slugs())
def test_right_answers_are_accepted_and_wrong_ones_refused_and_the_names_of_mistakes_stay(slug, catalogue):
    topic, judged = catalogue[slug], judgements()
    for answer in answers(slug):
        result = check(slug, topic.exercises[answer.exercise], answer.function(topic), seconds=0)
        assert result.outcome == ("wrong" if answer.label else "right"), answer.id
        name = judged[answer.id].told.removeprefix("named ") if answer.label else ""
        if answer.label and judged[answer.id].is_name:
            assert result.mistake_id.endswith(f":{name}"), answer.id


def test_every_wrong_answer_is_judged_and_none_is_told_something_false():
    judged = judgements()
    wrong = {answer.id for slug in slugs() for answer in answers(slug) if answer.label}
    assert set(judged) == wrong
    assert [name for name, one in judged.items() if one.verdict == "false"] == []
