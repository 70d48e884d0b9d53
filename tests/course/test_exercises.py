from __future__ import annotations

import re
import types

import pytest
import torch
from studium import exercise
from studium.catalogue.catalogue import load_catalogue
from studium.errors import ExerciseError
from studium.exercises import sources
from studium.exercises.checking import run_test
from studium.exercises.definitions import definition
from studium.exercises.model import exercises_of
from studium.exercises.sources import imports_used, marked, solved, stub


def uses_a_helper(f):
    assert one()


@pytest.fixture
def merge(sample):
    return load_catalogue()["sample"].exercises["merge"]


def one():
    @exercise(points=2, minutes=1)
    def f(x):
        return x

    return f


def test_calling_an_exercise_calls_its_solution():
    assert one()(3) == 3


def test_an_exercise_has_the_name_and_docstring_of_its_solution(merge):
    assert (merge.id, merge.__doc__) == ("merge", "Fold the adapter into the frozen weight.")


def test_points_that_do_not_add_up_are_an_error():
    f = one()
    f.test("works", points=1)(lambda f: None)
    module = types.ModuleType("m")
    module.f = f
    with pytest.raises(ExerciseError, match="must add up to its 2 points: got 1"):
        exercises_of(module)


def test_a_test_that_takes_something_else_is_an_error():
    with pytest.raises(ExerciseError, match=r"must take f and may take rng: got \(g\)"):
        one().test("works", points=2)(lambda g: None)


def test_two_tests_of_one_name_are_an_error():
    f = one()
    f.test("works", points=1)(lambda f: None)
    with pytest.raises(ExerciseError, match="came twice"):
        f.hidden("works", points=1)(lambda f: None)


def misunderstood(*misconceptions):
    """The names that an exercise gives to these (sentence, name) pairs."""
    f = one()
    for sentence, name in misconceptions:
        f.misconception(sentence, name=name)(lambda x: None)
    return [misconception.name for misconception in f.misconceptions]


def test_a_misconception_has_the_name_that_its_author_gives_or_one_of_its_first_words():
    named, derived = misunderstood(
        ("You scaled by alpha.", "scaled-by-alpha"), ("You forgot α / r: the scale is gone.", "")
    )
    assert (named, derived) == ("scaled-by-alpha", "you-forgot-α-r-the")


def test_sentences_that_begin_alike_get_different_names():
    names = misunderstood(("You took the mean over the batch.", ""), ("You took the mean over the heads.", ""))
    assert names == ["you-took-the-mean-over", "you-took-the-mean-over-the"]


def test_two_misconceptions_of_one_name_are_an_error():
    for first, second in [
        (("You forgot r.", "no-rank"), ("You forgot alpha.", "no-rank")),
        (("You forgot r.", ""), ("You forgot r.", "")),
        (("You forgot r.", ""), ("Something else.", "you-forgot-r")),
    ]:
        with pytest.raises(
            ExerciseError, match=r"each misconception of f needs its own name: '.+' appears twice; rename one"
        ):
            misunderstood(first, second)


def test_a_name_that_an_id_cannot_hold_is_an_error():
    for name in ["Scaled", "scaled by alpha", "-scaled", "scaled_by_alpha", "a:b"]:
        with pytest.raises(ExerciseError, match="needs a name such as 'scaled-by-alpha'"):
            misunderstood(("You scaled by alpha.", name))


def test_hints_that_are_one_string_are_an_error():
    with pytest.raises(ExerciseError, match="add a comma"):
        exercise(points=1, minutes=1, hints="a hint")


def test_an_exercise_is_a_core_one_to_write_that_the_lesson_uses_unless_it_says_otherwise():
    f = one()
    assert (f.level, f.kind, f.importance) == ("core", "write", 2)
    assert f.facts() == "core · write · the lesson uses it · 2 points · about 1 minute"


def test_the_facts_of_an_exercise_say_level_kind_importance_points_and_minutes():
    make = exercise(points=1, minutes=2.5, level="warm-up", importance=3, kind="find the bug")
    assert make(lambda: None).facts() == "warm-up · find the bug · the lesson's heart · 1 point · about 2.5 minutes"


def test_an_optional_exercise_says_so_first():
    assert one().facts(optional=True).startswith("optional · core · ")


def test_a_level_importance_or_kind_that_does_not_exist_is_an_error():
    for word, value, sentence in [
        ("level", "hard", "level of f must be one of 'warm-up', 'core', 'integrative', 'stretch': got 'hard'"),
        ("importance", 4, "importance of f must be one of 1, 2, 3: got 4"),
        ("importance", True, "importance of f must be one of 1, 2, 3: got True"),
        ("importance", [1], "importance of f must be one of 1, 2, 3: got [1]"),
        (
            "kind",
            ["derive"],
            "kind of f must be one of 'write', 'find the bug', 'derive', 'measure', 'open': got ['derive']",
        ),
    ]:

        def f():
            return 1

        with pytest.raises(ExerciseError, match=re.escape(sentence)):
            exercise(points=1, minutes=1, **{word: value})(f)


def test_a_class_is_no_exercise():
    with pytest.raises(ExerciseError, match="an exercise is a function: got the class Cache; ask for a function"):

        @exercise(points=1, minutes=1)
        class Cache:
            """Keep keys and values."""


def test_a_statement_is_the_docstring_without_its_indentation(merge):
    def f():
        """Return one.

        * x (N, d)
            more of it
        """

    assert exercise(points=1, minutes=1)(f).statement == "Return one.\n\n* x (N, d)\n    more of it"
    assert merge.statement == "Fold the adapter into the frozen weight."


def test_a_statement_shows_what_looks_like_a_tag_and_leaves_code_alone():
    def f():
        """Return "<name>.weight" where 1 < 2, or `<eos>`.

        ```python
        x = "<eos>"
        ```
        """

    text = exercise(points=1, minutes=1)(f).statement
    assert text == 'Return "&lt;name>.weight" where 1 < 2, or `<eos>`.\n\n```python\nx = "<eos>"\n```'


def test_the_stub_keeps_signature_and_docstring_and_hides_the_solution(merge):
    text = stub(merge)
    assert text.startswith("def merge(weight: torch.Tensor, a, b, alpha):")
    assert text.endswith("    # YOUR CODE HERE\n    raise NotImplementedError()\n")
    assert "b @ a" not in text


def test_the_solution_has_no_markers(merge):
    assert "###" not in solved(merge)
    assert "return weight + alpha" in solved(merge)


def test_the_source_version_keeps_both_markers(merge):
    assert marked(merge).count("### ") == 2


def test_a_solution_without_markers_is_an_error():
    with pytest.raises(ExerciseError, match="BEGIN SOLUTION"):
        marked(one())


def test_a_test_cell_stands_alone(merge):
    names: dict[str, object] = {"merge": merge.solution}
    exec(sources.test_cell("sample", merge, merge.tests[1]), names)
    names["merge"] = lambda weight, a, b, alpha: weight
    with pytest.raises(AssertionError):
        exec(sources.test_cell("sample", merge, merge.tests[1]), names)


def test_a_test_cell_draws_alike_each_time_as_the_judge_does(merge):
    cell = sources.test_cell("sample", merge, merge.tests[1])
    seed = sources.seed_of("sample", merge, merge.tests[1])
    assert f"torch.manual_seed({seed})\ntest_merge(merge, rng=" in cell
    names = {"merge": lambda *given: drawn.append(float(torch.rand(1))) or merge(*given)}
    drawn = []
    exec(cell, dict(names))
    exec(cell, dict(names))
    run_test(merge.tests[1], names["merge"], seed)
    assert len({*drawn}) == 1


def test_a_test_cell_imports_what_the_test_uses_and_no_more(merge):
    assert "assert_close" not in sources.test_cell("sample", merge, merge.tests[0])


def test_a_test_that_uses_a_helper_of_its_module_is_an_error():
    with pytest.raises(ExerciseError, match="uses 'one'"):
        imports_used(uses_a_helper, (), "this test")


def test_the_definition_leaves_out_the_decorator_that_registers_it(merge):
    assert definition(merge.tests[0].function).startswith("def _(merge):")


def test_the_definition_keeps_the_decorators_that_are_part_of_an_answer():
    f = one()

    @f.also_correct
    @torch.no_grad()
    def _(x):
        return x

    text = definition(f.alternatives[0])
    assert text == "@torch.no_grad()\ndef _(x):\n    return x\n"
    assert imports_used(f.alternatives[0], (), "this answer") == ["import torch"]


def test_a_test_cell_of_a_decorated_test_calls_the_test():
    f = one()

    @f.test("doubles", points=2)
    @torch.no_grad()
    def _(f):
        assert f(torch.ones(1)) == 2

    cell = sources.test_cell("sample", f, f.tests[0])
    exec(cell, {"f": lambda x: 2 * x})
    with pytest.raises(AssertionError):
        exec(cell, {"f": f})
