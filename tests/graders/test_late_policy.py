"""What a late submission costs, in nbgrader's terms."""

from pathlib import Path

import pytest
from studium.errors import CourseError
from traitlets.config import Config

pytest.importorskip("nbgrader")

from nbgrader.plugins import LateSubmissionPlugin  # nbgrader is an extra
from studium_graders.grading.late.penalties import LatePenalties
from studium_graders.grading.late.policy import LatePolicy

HOUR, DAY = 3_600, 86_400

CASES = [
    ("nothing without a policy", {"policy": "none"}, 9 * DAY, None),
    ("everything", {"policy": "zero"}, 1, 8.0),
    ("nothing within the grace time", {"policy": "zero", "grace_minutes": 15}, 15 * 60, None),
    ("a day that has begun", {"policy": "per-day", "penalty_percent": 10}, 1, 0.8),
    ("two days that have begun", {"policy": "per-day", "penalty_percent": 10}, DAY + 1, 1.6),
    (
        "a clock that starts after the grace",
        {"policy": "per-day", "penalty_percent": 10, "grace_minutes": 1},
        DAY + 60,
        0.8,
    ),
    ("hours", {"policy": "per-hour", "penalty_percent": 1}, 5 * HOUR, 0.4),
    ("no more than the cap", {"policy": "per-hour", "penalty_percent": 10, "cap_percent": 50}, 9 * DAY, 4.0),
    ("no more than all", {"policy": "per-day", "penalty_percent": 60}, 9 * DAY, 8.0),
]


def test_being_late_costs() -> None:
    for name, settings, late, penalty in CASES:
        policy = LatePolicy(config=Config({"LatePolicy": settings}))
        assert policy.late_submission_penalty("alice", 8.0, late) == penalty, name


class Wordy(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> object:
        return "much"


def test_a_policy_of_the_courses_own_that_gives_no_points_is_named(tmp_path: Path) -> None:
    config = Config({"AssignLatePenalties": {"plugin_class": Wordy}})
    with pytest.raises(
        CourseError, match=r"the late policy Wordy must return points when ada has 8 points .*: TypeError"
    ):
        LatePenalties(config, tmp_path).points("ada", 8.0, 60)
