"""The ids under which nbgrader stores marks. They are derived from names, so reordering tests keeps the marks."""

import zlib
from collections import Counter

from studium.exercises.model import Exercise, Test
from studium.notebooks.cell_ids import cell_id
from studium.topics.topic import Topic


def test_ids(topic: Topic, exercise: Exercise) -> dict[str, str]:
    """Return the grade id of each test by the test's name, such as "lora-merge-scales-with-alpha-r".

    If two names reduce to the same letters, each gets a checksum of its own name.
    """
    plain = {test.name: cell_id(topic.slug, exercise.id, test.name) for test in exercise.tests}
    times = Counter(plain.values())
    return {
        test.name: plain[test.name] if times[plain[test.name]] == 1 else _with_checksum(topic, exercise, test)
        for test in exercise.tests
    }


def _with_checksum(topic: Topic, exercise: Exercise, test: Test) -> str:
    return cell_id(topic.slug, exercise.id, test.name[:20], f"{zlib.crc32(test.name.encode()):08x}")
