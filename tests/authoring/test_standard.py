"""The forms of the standard: each is asked for where it is missing, and not where it is there."""

from __future__ import annotations

import pytest
from studium.authoring import ladder, lesson_forms, plain_english, prose
from studium.authoring.lesson_places import places_of_cells
from studium.authoring.plain_english import PHRASES, phrases
from studium.authoring.runner import check_topic
from studium.authoring.subject import open_subject
from studium.exercises.model import exercise

from tests.authoring.conftest import SAMPLE, SMOKE, Damage, failed

ADDED = {
    "a-loop-seen-whole": "\n# %%\nx = 0.0\nfor t in range(3):\n    x = abs(x - t)\n",
    "a-bridge": '\n# %% tags=["experiment", "bridge"]\nprint("none")\n',
    "the-end": "\n# %% [markdown]\n# ## You can now\n#\n# * a\n# * b\n# * c\n# * d\n# * e\n#\n# ## Open tasks\n#\n"
    "# 1. a\n# 2. b\n# 3. c\n",
}
DIAGRAM = '# %% tags=["diagram"]\n'
EXERCISE = '# %% exercise="echo"'
UNDRAWN = Damage("", "lesson forms", "lesson.py", "# %%\nDiagram", f"{DIAGRAM}Diagram")


@pytest.fixture
def advice(copy_sample):
    """advice(check, damage) → what the check advises for the sample topic with that damage, in one text."""

    def run(check, *damages):
        with open_subject(str(copy_sample(*damages)), SMOKE) as subject:
            return "\n".join(check(subject).advice)

    return run


def test_the_sample_hears_of_the_forms_that_it_lacks_and_of_no_other(advice):
    said = advice(lesson_forms.lesson_forms)
    assert [rule for rule in ADDED if f"[standard.md#{rule}]" not in said] == []
    assert not any(rule in said for rule in ("#terms", "#length", "#guesses", "#a-diagram", "#what-it-needs"))


def test_a_form_that_is_there_is_not_asked_for(advice):
    for rule, form in ADDED.items():
        damage = Damage("", "lesson forms", "lesson.py", form)
        assert f"[standard.md#{rule}]" not in advice(lesson_forms.lesson_forms, damage)


NEEDS_LORA = Damage("", "lesson forms", "__init__.py", 'minutes=20,\n        needs=("lora",),', "minutes=20,")
TELLS_LORA = Damage("", "lesson forms", "lesson.py", "# You need [lora](lora.ipynb), lists", "# You need Python's")


def test_what_a_lesson_says_it_needs_is_what_its_topic_needs(advice):
    for damages, said in [
        ([NEEDS_LORA], "must link to 'lora'"),
        ([TELLS_LORA], "must name 'lora'"),
        ([NEEDS_LORA, TELLS_LORA], ""),
    ]:
        found = advice(lesson_forms.lesson_forms, *damages)
        assert said in found
        assert ("#what-it-needs" in found) == bool(said)


def test_a_widget_is_asked_for_on_the_first_screen(advice):
    for words, told in [(300, True), (100, False)]:
        title = "# %% [markdown]\n# # "
        opening = "# %% [markdown]\n# " + "word " * words + '\n\n# %% tags=["widget"]\n1\n\n' + title
        damage = Damage("", "lesson forms", "lesson.py", opening, title)
        assert ("#a-widget-first" in advice(lesson_forms.lesson_forms, damage)) is told


def test_a_diagram_is_asked_for_before_the_first_exercise(advice):
    assert "before its first exercise: none" in advice(lesson_forms.lesson_forms, UNDRAWN)
    late = Damage("", "lesson forms", "lesson.py", f"\n{DIAGRAM}1\n")
    assert "it comes later" in advice(lesson_forms.lesson_forms, UNDRAWN, late)


def test_a_guess_that_is_filled_in_is_found_with_its_line(advice):
    filled = Damage("", "lesson forms", "lesson.py", '"silence", 1300,', '"silence", ...,')
    said = advice(lesson_forms.lesson_forms, filled)
    assert "lesson.py:55 must leave the guess to the learner: it passes 1300" in said
    assert "#guesses" in said


def test_a_lesson_without_a_term_is_told(advice):
    none = Damage("", "lesson forms", "lesson.py", "*response*", "<dfn>response</dfn>")
    assert "#terms" in advice(lesson_forms.lesson_forms, none)


def test_a_lesson_of_too_many_words_is_told_without_those_below_further(advice):
    long = Damage("", "lesson forms", "lesson.py", "\n# %% [markdown]\n# " + "word " * 3300 + "\n")
    assert "#length" in advice(lesson_forms.lesson_forms, long)
    long = Damage("", "lesson forms", "lesson.py", "\n# %% [markdown]\n# ## Further\n#\n# " + "word " * 3300 + "\n")
    assert "#length" not in advice(lesson_forms.lesson_forms, long)


LONG = Damage("", "reading time", "exercises.py", "points=3,\n    minutes=500", "points=3,\n    minutes=5")
RESPONSE = '# %% exercise="response"'
FURTHER = Damage("", "reading time", "lesson.py", f"# %% [markdown]\n# ## Further\n\n{RESPONSE}", RESPONSE)


def test_the_minutes_of_an_exercise_below_further_are_not_those_of_the_topic(copy_sample):
    for damages, told in [((LONG,), True), ((LONG, FURTHER), False)]:
        with open_subject(str(copy_sample(*damages)), SMOKE) as subject:
            assert bool(prose.reading_time(subject).problems) == told


def test_a_loop_that_trains_or_samples_is_told_from_any_other():
    for source, shown in [
        ("for batch in data:\n    loss = model(batch)\n    loss.backward()\n    optimizer.step()", True),
        ("for t in reversed(range(T)):\n    x = p_step(x, t)", True),
        ("while len(tokens) < 9:\n    tokens = torch.cat([tokens, new(tokens)])", True),
        ("for row in rows:\n    print(row)", False),
        ("result = run(model)", False),
        ("%timeit f()", False),
    ]:
        assert lesson_forms._shows_loop(source) == shown


def made(solution_lines=1, hints=("Why?", "So."), words=10, **marks):
    body = "\n".join(f"    x = x + {n}" for n in range(solution_lines))
    names = {}
    exec(f'def made(x):\n    """{"word " * words}"""\n{body}\n', names)
    return exercise(points=1, minutes=1, hints=hints, **marks)(names["made"])


@pytest.fixture
def counted(monkeypatch):
    """Let an exercise say how many decisions its solution takes, for its text is in no file."""
    monkeypatch.setattr(ladder, "decisions_in", lambda exercise: getattr(exercise, "decisions", 9))

    def count(exercise, decisions):
        exercise.decisions = decisions
        return exercise

    return count


def test_a_ladder_needs_an_integrative_exercise_and_one_that_is_not_written_from_nothing(counted):
    assert any("integrative" in said for said in ladder._steps([made(level="core")]))
    assert not any("needs an integrative" in said for said in ladder._steps([made(level="integrative")]))
    assert any("finds a bug" in said for said in ladder._steps([made(kind="write")]))
    assert not any("finds a bug" in said for said in ladder._steps([made(kind="derive")]))


def test_more_than_half_warm_ups_are_told_and_a_short_derivation_is_none(counted):
    short, long = counted(made(level="core"), 1), counted(made(level="core"), 8)
    assert any("at most half" in said for said in ladder._steps([short, short, long]))
    assert not any("at most half" in said for said in ladder._steps([short, long]))
    derived, long = counted(made(level="core", kind="derive"), 1), counted(made(level="core"), 8)
    assert not any("at most half" in said for said in ladder._steps([derived, derived, long]))


def test_an_integrative_exercise_of_a_few_decisions_is_told(counted):
    assert list(ladder._level(counted(made(level="integrative"), 3)))
    assert not list(ladder._level(counted(made(level="integrative"), 20)))


ON_TWO_LINES = """
    margins = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return -F.logsigmoid(margins).mean(), margins
"""
ON_FOUR_LINES = """
    better = chosen - reference_chosen
    worse = rejected - reference_rejected
    margins = beta * (better - worse)
    return -F.logsigmoid(margins).mean(), margins
"""
AS_A_CHOICE = """
    if beta:
        return [x[-1] for x in chosen]
"""


def test_decisions_are_counted_and_not_lines(monkeypatch):
    for body, count in [(ON_TWO_LINES, 7), (ON_FOUR_LINES, 7), (AS_A_CHOICE, 3)]:
        monkeypatch.setattr(ladder, "solved", lambda exercise, body=body: f'def f():\n    """Give it."""{body}')
        assert ladder.decisions_in(made()) == count


def test_a_long_statement_is_told_without_its_table():
    assert "it has 95" in next(ladder._statement(made(words=95)))
    assert not list(ladder._statement(made(words=80)))
    listed = made(words=80)
    listed.solution.__doc__ += "\n\n* x (n, d): " + "word " * 20 + "\n\n| y | " + "word " * 20
    listed.solution.__doc__ += "\n\n    ```python\n    " + "word " * 20 + "\n    ```"
    assert not list(ladder._statement(listed))


def test_hints_begin_with_a_question_and_show_code_last():
    for hints, said in [
        (("The shapes differ.", "`x.T`"), "the first hint of made should ask a question"),
        (("Is it `softmax(x)`?", "Yes."), "hint 1 of 2 has `softmax(x)`"),
        (("Is it `x` or `weight.shape`?", "`softmax(x)`"), ""),
    ]:
        told = "\n".join(ladder._hints(made(hints=hints)))
        assert (said in told) if said else not told


def test_the_sample_topic_hears_of_its_ladder(advice):
    assert "#the-ladder" in advice(ladder.ladder)


def test_a_phrase_is_found_in_its_example_and_in_nothing_that_is_fine():
    for phrase in phrases():
        assert phrase.find(phrase.example)
        assert not phrase.fine or not phrase.find(phrase.fine)
        assert not phrase.find(phrase.example.replace(phrase.find(phrase.example), ""))


def test_a_phrase_in_the_lesson_is_found_with_its_line_and_none_in_code(advice):
    heaps = Damage("", "plain English", "lesson.py", "Clap once in two heaps", "Clap once in a stairwell")
    said = advice(plain_english.plain_english, heaps)
    assert "lesson.py:1 says “" in said
    assert "write “mode”, “cluster” or “component” [standard.md#english]" in said
    code = Damage("", "plain English", "lesson.py", "`heaps`", "Clap")
    assert "cluster" not in advice(plain_english.plain_english, code)


def test_every_rule_is_a_heading_of_the_authors_page():
    page = (SAMPLE.parents[1] / "standard.md").read_text("utf-8")
    headings = {line[3:].lower().replace(" ", "-") for line in page.splitlines() if line.startswith("## ")}
    assert headings >= {
        *lesson_forms._RULES,
        "the-ladder",
        "statements",
        "hints",
        "english",
        "promises",
        "first-cases",
        "hidden-tests",
    }
    assert PHRASES.is_file()


def test_a_number_that_was_wrapped_to_the_start_of_a_line_is_a_false_list(copy_sample):
    for text, false in [
        ("It has a width of\n20. That is all.", True),
        ("It equals\n1. So it is.", True),
        ("1. one\n2. two\n   and more\n3. three", False),
        ("Steps:\n1. one\n2. two", False),
        ("It has a width of 20.\n\n1. one", False),
        ("```\nx\n20. y\n```", False),
    ]:
        lines = "".join(f"# {line}\n" for line in text.splitlines())
        damage = Damage("", "headings", "lesson.py", f"\n# %% [markdown]\n{lines}")
        with open_subject(str(copy_sample(damage)), SMOKE) as subject:
            assert bool(list(prose._false_lists(subject))) == false


def test_two_equal_headings_are_a_problem(copy_sample):
    twice = Damage("", "headings", "lesson.py", "# ## Step by step", "# ## All at once")
    with open_subject(str(copy_sample(twice)), SMOKE) as subject:
        assert "'Step by step' appears 2 times" in "".join(prose.headings(subject).problems)


def test_advice_fails_a_check_only_where_it_is_asked_to(copy_sample):
    with open_subject(str(copy_sample()), SMOKE) as subject:
        mild = check_topic(subject, only=["ladder"])
        strict = check_topic(subject, only=["ladder"], strict=True)
    assert (failed(mild), failed(strict)) == ([], ["ladder"])
    assert mild.checks[-1].advice == strict.checks[-1].detail


def test_advice_is_counted_in_the_list_and_shown_for_one_check(studium, copy_sample):
    folder = str(copy_sample())
    code, out, _ = studium("topic", "check", folder, "--only", "ladder")
    assert (code, "  · a lesson needs an integrative exercise" in out) == (0, True)
    code, out, _ = studium("topic", "check", folder, "--only", "ladder", "--strict")
    assert (code, "1 of 2 checks fail: ladder" in out) == (1, True)


def test_a_cell_is_known_by_its_line(copy_sample):
    with open_subject(str(copy_sample()), SMOKE) as subject:
        lines = subject.topic.lesson.read_text("utf-8").splitlines()
        places = places_of_cells(subject.topic)
    assert places["echo"] == f"lesson.py:{lines.index(EXERCISE) + 1}"
    assert all(lines[int(place.partition(":")[2]) - 1].startswith("# %%") for place in places.values())
