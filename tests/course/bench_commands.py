"""How long commands take: prints, judges nothing (`make bench`)."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time

import pytest
from studium.authoring.watching import Watcher
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.exercises.explaining.budget import SECONDS
from studium.notebooks.editions import compile_lesson
from studium.notebooks.files import write_notebook

from tests.answers.corpus import answers, slugs
from tests.authoring.conftest import PACKAGE, SAMPLE


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


def test_saving_an_exercise_under_topic_watch(tmp_path):
    """From the save to the word on its solution, its mistakes, and all checks that hang on the file."""
    shutil.copytree(SAMPLE, tmp_path / "topic")
    folder = tmp_path / "topic" / PACKAGE
    exercises, heard = folder / "exercises.py", {}
    watcher = Watcher(
        str(tmp_path / "topic"),
        folder,
        "smoke",
        lambda told: heard.setdefault(told.result.name, time.perf_counter()) if told.result else None,
    )
    try:
        assert watcher.wait(600)
        source = exercises.read_text("utf-8")
        times: dict[str, list[float]] = {"solutions": [], "misconceptions": [], "mutants": []}
        for number in range(5):
            heard.clear()
            exercises.write_text(source.replace("y = list(x)", f"y = list(x)  # once more: {number}", 1), "utf-8")
            start = time.perf_counter()
            watcher.changed({exercises})
            assert watcher.wait(600)
            for name, took in times.items():
                took.append(heard[name] - start)
    finally:
        watcher.close()
    said = (f"{name} median {statistics.median(took):.2f} s, longest {max(took):.2f} s" for name, took in times.items())
    print(f"\nsaving an exercise under studium topic watch: {'; '.join(said)}; of 5")
