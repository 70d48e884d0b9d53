"""Review asks about the learner's own mistakes, more seldom the better they are known."""

from __future__ import annotations

import ast

import pytest
from studium import open_lesson as open_in_kernel
from studium.catalogue.catalogue import load_catalogue
from studium.desk import records, review
from studium.desk.journal import Journal
from studium.desk.records import Checked
from studium.desk.review import answer_review, cards, due_cards, read_review
from studium.errors import UsageError

from .answering import MISTAKE, MISTAKE_ID

DAY = 24 * 3600 * 1000


@pytest.fixture
def clock(monkeypatch):
    """clock.now may be set; entries and reviews take place then."""

    class Clock:
        now = 1_780_000_000_000

    monkeypatch.setattr(records, "now_ms", lambda: Clock.now)
    monkeypatch.setattr(review, "now_ms", lambda: Clock.now)
    return Clock


@pytest.fixture
def fell_for(journal, sample, clock):
    """A learner who fell for one mistake."""
    journal.write("sample", "merge", Checked("wrong", 1, 3, mistake_id=MISTAKE_ID, answer="x"))
    return journal


def ask(journal):
    return read_review(journal, load_catalogue()).questions


def answer(journal, card, *, right):
    (question,) = [one for one in ask(journal) if one.card == card]
    correct = question.choices.index(MISTAKE)
    choice = correct if right else (correct + 1) % len(question.choices)
    return answer_review(journal, load_catalogue(), card, choice, 10.0)


def test_without_mistakes_there_is_nothing_to_ask(journal):
    found = read_review(journal, load_catalogue())
    assert (found.questions, found.due, found.next) == ([], 0, None)


def test_a_mistake_becomes_a_question_with_its_code_and_other_sentences(fell_for):
    (question,) = ask(fell_for)
    assert question.code.startswith("def merge(weight, a, b, alpha):")
    assert set(question.choices) == {MISTAKE, "You forgot the scale.", "You changed the weight in place."}
    assert ask(fell_for) == [question]


def test_the_same_mistake_made_twice_is_one_question(fell_for):
    fell_for.write("sample", "merge", Checked("wrong", 1, 3, mistake_id=MISTAKE_ID, answer="y"))
    assert len(ask(fell_for)) == 1


def test_a_question_has_the_sentence_that_the_topic_has_now(fell_for, sample):
    file = sample.folder / "sample_topic" / "exercises.py"
    file.write_text(file.read_text().replace(MISTAKE, "You multiplied by alpha alone."))
    (question,) = ask(fell_for)
    assert "You multiplied by alpha alone." in question.choices
    assert MISTAKE not in question.choices


def test_an_entry_of_before_mistakes_had_ids_is_asked_by_its_sentence(journal, sample, clock):
    journal.write("sample", "merge", Checked("wrong", 1, 3, mistake_id=MISTAKE, answer="x"))
    (question,) = ask(journal)
    assert answer_review(journal, load_catalogue(), question.card, question.choices.index(MISTAKE), 1.0).right


def test_a_mistake_that_the_topic_names_no_more_is_passed_over(journal, sample, clock):
    journal.write("sample", "merge", Checked("wrong", 1, 3, mistake_id="sample.merge:gone", answer="x"))
    assert ask(journal) == []


def test_the_mistake_that_the_opener_asks_for_is_no_question(journal, sample, clock):
    catalogue = load_catalogue()
    assert catalogue.opener is not None
    journal.write(
        catalogue.opener.slug, "guide", Checked("wrong", 0, 1, mistake_id="four-minutes.guide:told", answer="x")
    )
    assert due_cards(journal, catalogue) == []
    assert read_review(journal, catalogue).due == 0


def test_a_wrong_choice_comes_again_within_the_hour_and_a_right_one_after_days(fell_for, clock):
    (card,) = due_cards(fell_for, load_catalogue())
    wrong = answer(fell_for, card.id, right=False)
    assert not wrong.right
    assert clock.now < wrong.due < clock.now + DAY / 24
    assert ask(fell_for) == []
    for _ in range(4):
        clock.now = due = cards(fell_for.store.entries(fell_for.workspace))[card.id].due
        right = answer(fell_for, card.id, right=True)
        assert right.right
        assert right.due > due
    assert right.due - clock.now > 2 * DAY
    assert read_review(fell_for, load_catalogue()).next == right.due


def test_a_prediction_that_missed_is_asked_and_a_hit_is_not(journal, clock):
    for name, guess, value in (("rank", 3, 7), ("loss", 1.0, 1.01)):
        journal.predict("sample", name, guess, f"What is the {name}?")
        journal.found("sample", name, value)
    (question,) = ask(journal)
    assert (question.prompt, question.kind) == ("What is the rank?", "prediction")
    assert {"7", "3"} <= set(question.choices)
    answered = answer_review(journal, load_catalogue(), question.card, question.choices.index("7"), 1.0)
    assert answered.right
    assert answered.explanation == "It was 7; you guessed 3."


def test_a_mistake_of_a_topic_that_is_gone_is_passed_over(journal):
    journal.write("gone", "merge", Checked("wrong", 1, 3, mistake_id=MISTAKE_ID))
    assert ask(journal) == []


def test_there_are_no_more_questions_than_fit_the_minutes(journal, clock):
    for number in range(10):
        journal.predict("sample", f"n{number}", number)
        journal.found("sample", f"n{number}", number + 100)
    found = read_review(journal, load_catalogue())
    assert (len(found.questions), found.due) == (6, 10)
    assert len(read_review(journal, load_catalogue(), 2).questions) == 2


def test_a_card_or_choice_that_is_not_there_is_refused(fell_for):
    for card, choice in [("no/card", 0), ("", 0), (None, 99), (None, -1)]:
        (question,) = ask(fell_for)
        with pytest.raises(UsageError):
            answer_review(fell_for, load_catalogue(), question.card if card is None else card, choice, 1.0)
        assert len(ask(fell_for)) == 1


def predictions(slug):
    """The calls of lesson.predict and lesson.found that a lesson makes, by method: [arguments]."""
    found = {"predict": [], "found": []}
    for node in ast.walk(ast.parse(load_catalogue()[slug].lesson.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("lesson"), attr="predict" | "found" as method)):
                found[method].append(node.args)
    return found


@pytest.mark.sample(1)
@pytest.mark.parametrize("slug", ["encoder-only", "decoder-only", "lora", "ddpm"])
def test_a_lesson_asks_for_a_prediction_and_a_missed_one_is_reviewed(slug, monkeypatch, tmp_path, store):
    monkeypatch.chdir(tmp_path)
    asked, told = predictions(slug).values()
    assert [name.value for name, *_ in asked] == [name.value for name, *_ in told] != []
    lesson = open_in_kernel(slug, "smoke")
    for name, guess, question in asked:
        assert guess.value is ...
        lesson.predict(name.value, 3, question.value)
        lesson.found(name.value, 7)
    reviewed = read_review(Journal(store, tmp_path), load_catalogue()).questions
    assert [(one.prompt, one.kind) for one in reviewed] == [(one[2].value, "prediction") for one in asked]
    assert {"3", "7"} <= set(reviewed[0].choices)
