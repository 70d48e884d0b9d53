from __future__ import annotations

import subprocess
import sys

import pytest
from studium import StudiumError
from studium.catalogue.catalogue import load_catalogue
from studium.errors import UnknownNameError, suggestion

TOPIC = """
from studium import Topic, hookimpl

@hookimpl
def studium_topics():
    yield Topic(slug="{slug}", title="T", track="{track}", summary="S", package=__name__, needs={needs}, order={order})
"""


def plugin(slug, track="Zeta", needs=(), order=1000):
    return TOPIC.format(slug=slug, track=track, needs=needs, order=order)


def problems_of(catalogue, distribution):
    return [problem.error for problem in catalogue.problems if problem.distribution == distribution]


def test_a_topic_is_found_by_its_entry_point(sample):
    entry = next(entry for entry in load_catalogue().entries if entry.topic.slug == "sample")
    assert (entry.distribution, entry.version, entry.entry_point) == ("studium-topic-sample", "1.0", "sample")


def test_topics_come_by_track_then_order_then_slug(site):
    for slug, track, order in [("b", "Late", 902), ("a", "Late", 902), ("c", "Late", 901), ("d", "Early", 900)]:
        site.install(f"dist-{slug}", {slug: f"topic_{slug}"}, {f"topic_{slug}.py": plugin(slug, track, order=order)})
    slugs = [topic.slug for topic in load_catalogue().topics if topic.slug in "abcd"]
    assert slugs == ["d", "c", "a", "b"]


def test_a_plugin_that_fails_on_import_is_reported_and_hurts_nobody(sample):
    sample.install("broken", {"broken": "broken_topic"}, {"broken_topic.py": "raise RuntimeError('no luck')"})
    catalogue = load_catalogue()
    assert [error for error in problems_of(catalogue, "broken") if "RuntimeError: no luck" in error]
    assert catalogue["sample"].title == "Sample"


def test_a_plugin_that_exits_on_import_is_reported_too(sample):
    sample.install("exits", {"exits": "exits_topic"}, {"exits_topic.py": "import sys; sys.exit(3)"})
    assert "SystemExit" in problems_of(load_catalogue(), "exits")[0]


def test_a_hook_that_fails_is_reported(sample):
    text = "from studium import hookimpl\n@hookimpl\ndef studium_topics():\n    yield 1 / 0\n"
    sample.install("fails", {"fails": "fails_topic"}, {"fails_topic.py": text})
    catalogue = load_catalogue()
    assert "ZeroDivisionError" in problems_of(catalogue, "fails")[0]
    assert catalogue["sample"]


def test_a_hook_that_gives_something_else_than_topics_is_reported(site):
    text = "from studium import hookimpl\n@hookimpl\ndef studium_topics():\n    return ['sample']\n"
    site.install("strings", {"strings": "strings_topic"}, {"strings_topic.py": text})
    assert problems_of(load_catalogue(), "strings") == ["studium_topics must return Topic objects: got str"]


def test_a_misspelt_hook_is_reported(site):
    text = "from studium import hookimpl\n@hookimpl\ndef studium_topcs():\n    return []\n"
    site.install("misspelt", {"misspelt": "misspelt_topic"}, {"misspelt_topic.py": text})
    assert "studium_topcs" in problems_of(load_catalogue(), "misspelt")[0]


def test_a_misspelt_hook_of_one_plugin_does_not_spoil_the_next(site):
    text = "from studium import hookimpl\n@hookimpl\ndef studium_topcs():\n    return []\n"
    site.install("misspelt", {"misspelt": "misspelt_topic"}, {"misspelt_topic.py": text})
    site.topic()
    catalogue = load_catalogue()
    assert catalogue["sample"]
    assert problems_of(catalogue, "studium-topic-sample") == []


def test_one_slug_from_two_distributions_is_an_error_that_names_both(sample):
    sample.install("twin", {"other-name": "twin_topic"}, {"twin_topic.py": plugin("sample")})
    catalogue = load_catalogue()
    errors = problems_of(catalogue, "twin") + problems_of(catalogue, "studium-topic-sample")
    assert len(errors) == 2
    assert all("studium-topic-sample and twin" in error for error in errors)
    with pytest.raises(StudiumError, match="cannot be used"):
        catalogue["sample"]


def test_one_entry_point_name_from_two_distributions_is_an_error_that_names_both(sample):
    sample.install("twin", {"sample": "twin_topic"}, {"twin_topic.py": plugin("another")})
    catalogue = load_catalogue()
    errors = problems_of(catalogue, "twin") + problems_of(catalogue, "studium-topic-sample")
    assert len(errors) == 2
    assert all("studium-topic-sample and twin" in error for error in errors)
    assert not {"sample", "another"} & {topic.slug for topic in catalogue.topics}


def test_prerequisites_in_a_circle_are_reported_and_the_topics_stay(site):
    site.install("one", {"one": "topic_one"}, {"topic_one.py": plugin("one", needs=("two",))})
    site.install("two", {"two": "topic_two"}, {"topic_two.py": plugin("two", needs=("one",))})
    catalogue = load_catalogue()
    assert "must not form a cycle" in problems_of(catalogue, "one")[0]
    assert {"one", "two"} <= {topic.slug for topic in catalogue.topics}


def test_an_unknown_slug_is_answered_with_the_nearest(sample):
    with pytest.raises(UnknownNameError, match="did you mean 'sample'"):
        load_catalogue()["smaple"]


def test_a_name_like_no_other_is_answered_with_all_or_with_the_first_of_many():
    assert suggestion("nobody", ["ada", "bob"]) == "there is ada, bob"
    many = suggestion("nobody", [f"s{number:03}" for number in range(300)])
    assert many.startswith("there is s000, s001")
    assert many.endswith(", s029 and 270 more")


def test_each_catalogue_has_a_manager_of_its_own(sample):
    assert load_catalogue().manager is not load_catalogue().manager


def test_loading_the_catalogue_imports_nothing_heavy():
    code = """
import sys
from studium.catalogue.catalogue import load_catalogue
from studium.cli.app import build_app
build_app(load_catalogue())
heavy = ("torch", "plotly", "ipywidgets", "nbgrader", "numpy", "jupytext", "nbformat")
print([name for name in heavy if name in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.strip() == "[]"
