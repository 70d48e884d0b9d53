"""The late policy of course.toml, as nbgrader's plugin."""

import math

from nbgrader.plugins import LateSubmissionPlugin
from traitlets import Enum, Float

_SECONDS = {"per-day": 86_400, "per-hour": 3_600}


class LatePolicy(LateSubmissionPlugin):  # type: ignore[misc]
    """Takes a share of the points earned for each day or hour that has begun after the grace time."""

    policy = Enum(("none", "zero", *_SECONDS), default_value="none", help="What a late submission costs.").tag(
        config=True
    )
    penalty_percent = Float(0, help="The share lost for each day or hour that has begun.").tag(config=True)
    grace_minutes = Float(0, help="The time within which nothing is lost; then the clock starts.").tag(config=True)
    cap_percent = Float(100, help="The greatest share that can be lost.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Return the points to take off ``score``, or None for none."""
        seconds = total_seconds_late - 60 * self.grace_minutes
        if self.policy == "none" or seconds <= 0:
            return None
        if self.policy == "zero":
            return score
        units = math.ceil(seconds / _SECONDS[self.policy])
        percent: float = min(units * self.penalty_percent, self.cap_percent)
        return round(score * percent / 100, 2)
