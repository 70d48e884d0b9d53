"""How long commands take: prints, judges nothing (`make bench`)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.notebooks.editions import compile_lesson
from studium.notebooks.files import write_notebook


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
