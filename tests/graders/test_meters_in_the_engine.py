"""A test that watches what a student's code makes: our engine sees it too, and a fake loses the points."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment

pytestmark = [pytest.mark.nbgrader, pytest.mark.heavy]
TILED = "makes no tensor larger than its inputs and a tile"
WHOLE_TABLE = """
def flash_forward(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)
"""


def test_a_fake_that_makes_the_whole_table_loses_the_point_of_the_meter(
    make_course: Callable, submit: Callable, counting: Catalogue
) -> None:
    topic = load_catalogue()["flash-attention"]
    course: Path = make_course('[[assignments]]\nname = "ps1"\ntopics = ["flash-attention"]')
    build_assignment(course, "ps1", counting)
    right = {exercise.id: solved(exercise) for exercise in topic.exercises.values()}
    submit(course, "right", {topic.slug: right})
    submit(course, "fake", {topic.slug: right | {"flash_forward": "import math\nimport torch\n" + WHOLE_TABLE}})
    command = [sys.executable, "-m", "studium", "grade", "ps1", "--course", str(course), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    graded = {found["student"]: found for found in json.loads(done.stdout)["submissions"]}
    assert graded["right"]["score"] == graded["right"]["max_score"]
    tests = {test["name"]: test for test in graded["fake"]["tests"] if test["exercise"] == "flash_forward"}
    assert (tests[TILED]["points"], tests[TILED]["mode"]) == (0, "verified")
    assert tests["is exact for all sizes, with and without a mask"]["points"] == 2
