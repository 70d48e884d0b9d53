"""Code that a lesson shows is run: what earns full marks is a leak, and what fails may be shown."""

from __future__ import annotations

import pytest
from studium.authoring.secrecy import answers_of, told
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE, Damage, failed
from tests.authoring.damages import _SOLUTION, DAMAGES

pytestmark = pytest.mark.usefixtures("forked_checks")


def leaks(folder) -> list[str]:
    """What the texts of a topic give away."""
    with open_subject(str(folder), SMOKE) as subject:
        return list(told(subject, answers_of(subject.topic)))


def test_wrong_code_that_contains_the_solution_may_be_shown(copy_sample):
    for block in [
        f"def response(delay, gain, length):\n    return {_SOLUTION}[1:]",
        f"heard = {_SOLUTION}\nreturn heard[1:]",
    ]:
        text = "\n".join(f"# {line}" for line in ["Find the bug:", "", "```python", *block.splitlines(), "```"])
        assert leaks(copy_sample(Damage("", "secrecy", "lesson.py", f"\n# %% [markdown]\n{text}\n"))) == []


def test_a_solution_that_does_not_run_alone_is_still_a_leak(copy_sample):
    cell = f"\n# %%\ndef response(delay, gain, length):\n    return {_SOLUTION}[from_here:]\n"
    assert leaks(copy_sample(Damage("", "secrecy", "lesson.py", cell)))


def test_a_function_that_calls_the_learners_own_gives_nothing_away(copy_sample):
    cell = "\n# %%\ndef click(delay, gain, length):\n    return response(delay, gain, length)\n"
    assert leaks(copy_sample(Damage("", "secrecy", "lesson.py", cell))) == []


def test_the_last_hint_may_show_the_answer(copy_sample):
    hint = '"which `k` belongs to n? `[(n % delay == 0) * gain ** (n // delay) for n in range(length)]`"'
    damage = Damage(
        "",
        "secrecy",
        "exercises.py",
        hint,
        '"The echo number k has met the wall k times: `gain ** k`. Which k belongs to n?"',
    )
    assert leaks(copy_sample(damage)) == []


def test_a_leak_that_was_found_by_running_is_named_with_its_line(copy_sample):
    damage = next(damage for damage in DAMAGES if damage.name == "an answer in other words in the lesson's code")
    (leak,) = leaks(copy_sample(damage))
    assert leak.startswith("the code of lesson.py:116 must not give away the solution of echo: `def ringing(sound, d, ")


SHOWS = Damage("", "stubs", "exercises.py", 'kind="find the bug",\n    shows="too-long",', 'kind="derive",')


def shown(body: str) -> list[Damage]:
    """What makes the sample's second exercise show a mistake that does what ``body`` says."""
    mistake = f"""

@response.misconception("You gave one sample too many.", name="too-long")
def _(delay, gain, length):
    return {body}
"""
    return [SHOWS, Damage("", "stubs", "exercises.py", mistake)]


def test_code_that_an_exercise_shows_may_contain_its_solution_in_the_learners_cell_and_nowhere_else(copy_sample):
    assert leaks(copy_sample(*shown(f"[*{_SOLUTION}, 0.0]"))) == []


def test_the_solution_beside_the_shown_code_is_a_leak(copy_sample):
    more = Damage("", "secrecy", "lesson.py", f"\n# %%\nheard = lambda delay, gain, length: {_SOLUTION}\n")
    assert leaks(copy_sample(*shown(f"[*{_SOLUTION}, 0.0]"), more))


def test_shown_code_has_to_do_in_a_notebook_what_its_mistake_does(copy_sample, checked):
    assert failed(checked(copy_sample(*shown(f"[*{_SOLUTION}, 0.0]")), "stubs", known=("imports", "solutions"))) == []


def test_shown_code_that_calls_its_own_exercise_is_told(copy_sample, checked):
    report = checked(
        copy_sample(*shown("response(delay, gain, min(length, 7))")), "stubs", known=("imports", "solutions")
    )
    (check,) = report.checks
    assert "the code that response shows must behave like its mistake 'too-long'" in check.detail


def test_tests_that_the_shown_code_passes_are_named_though_it_earns_nothing(copy_sample, checked):
    body = f"{_SOLUTION} if length == 7 else []"
    (check,) = checked(copy_sample(*shown(body)), "stubs", known=("imports", "solutions")).checks
    assert check.passed
    assert check.detail.splitlines()[1:] == [
        "tests that the shown code passes, and that earn points when nbgrader grades on its own:",
        "response/fades by the same factor from echo to echo",
    ]
