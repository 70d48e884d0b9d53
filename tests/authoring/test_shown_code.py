"""Code that a lesson shows is run: what earns full marks is a leak, and what fails may be shown."""

from __future__ import annotations

import pytest
from studium.authoring.secrecy import answers_of, told
from studium.authoring.subject import open_subject

from tests.authoring.conftest import SMOKE, Damage
from tests.authoring.damages import _SOLUTION, DAMAGES


def leaks(folder) -> list[str]:
    """What the texts of a topic give away."""
    with open_subject(str(folder), SMOKE) as subject:
        return list(told(subject, answers_of(subject.topic)))


@pytest.mark.parametrize(
    "block",
    [
        f"def response(delay, gain, length):\n    return {_SOLUTION}[1:]",
        f"heard = {_SOLUTION}\nreturn heard[1:]",
    ],
    ids=["function", "lines"],
)
def test_wrong_code_that_contains_the_solution_may_be_shown(block, copy_sample):
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
