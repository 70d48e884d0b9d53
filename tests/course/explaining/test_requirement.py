"""What a failed test requires, made of its title, so that released test cells keep their text."""

from __future__ import annotations

from studium.exercises.explaining.requirement import requirement


def test_a_title_becomes_a_requirement():
    for title, sentence in [
        ("weighs each token by how often it is drafted", "`f` should weigh each token by how often it is drafted."),
        ("is exact, and keeps the dtype", "`f` should be exact, and keep the dtype."),
        ("never reads padding, and does not mind the order", "`f` should never read padding, and not mind the order."),
        ("does not depend on the unit", "`f` should not depend on the unit."),
        ("carries the state over", "`f` should carry the state over."),
        ("passes keys and values on", "`f` should pass keys and values on."),
        ("adds up images and their labels", "`f` should add up images and their labels."),
        ("should hold for any shape", "`f` should hold for any shape."),
        ("for r = 2, all is well", "`f` fails this test: for r = 2, all is well."),
    ]:
        assert requirement("f", title) == sentence


def test_topic_check_gives_advice_about_a_title_that_makes_no_requirement():
    from studium import exercise
    from studium.authoring.mistakes import _untitled

    @exercise(points=2, minutes=1)
    def f(x):
        return x

    for title in ("keeps x", "r = 2: all is well"):
        f.test(title, points=1)(lambda f: None)
    (said,) = _untitled(f)
    assert "'r = 2: all is well' of f should begin with a verb" in said
