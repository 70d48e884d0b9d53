"""How long commands take: prints, judges nothing (`make bench`)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.exercises.explaining.budget import SECONDS
from studium.notebooks.editions import compile_lesson
from studium.notebooks.files import write_notebook

from tests.answers.corpus import answers, slugs


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "studium", *arguments], capture_output=True, check=False)
    return time.perf_counter() - start


def test_listing_topics():
    times = [seconds("topics", "--json") for _ in range(15)]
    print(f"\nstudium topics --json: median {statistics.median(times):.3f} s, longest {max(times):.3f} s of 15")


@pytest.mark.parametrize("slug", [topic.slug for topic in load_catalogue().topics])
def test_checking_an_untouched_lesson(slug, tmp_path):
    catalogue = load_catalogue()
    write_notebook(compile_lesson(catalogue[slug], catalogue.manager), tmp_path / "lesson.ipynb")
    times = [seconds("check", str(tmp_path / "lesson.ipynb")) for _ in range(3)]
    print(f"\nstudium check {slug}.ipynb, untouched: median {statistics.median(times):.2f} s of 3")


def test_explaining_a_wrong_answer():
    """Processor time, because that is what explanations are given; each answer was checked once before."""
    catalogue, beyond, ratios = load_catalogue(), [], []
    for slug in slugs():
        topic = catalogue[slug]
        for answer in [one for one in answers(slug) if one.label][::5]:
            exercise, function = topic.exercises[answer.exercise], answer.function(topic)
            check(slug, exercise, function)
            took = []
            for allowed in (0, SECONDS):
                start = time.thread_time()
                check(slug, exercise, function, seconds=allowed)
                took.append(time.thread_time() - start)
            beyond.append(took[1] - took[0])
            ratios.append(took[1] / took[0])
    late = statistics.quantiles(beyond, n=20)[-1]
    print(
        f"\nexplaining, beyond a check that fails: median {1e3 * statistics.median(beyond):.0f} ms, "
        f"95th percentile {1e3 * late:.0f} ms, longest {1e3 * max(beyond):.0f} ms of {len(beyond)} "
        f"(budget {1e3 * SECONDS:.0f} ms); {statistics.median(ratios):.1f} times as long as without"
    )
