"""What a late notebook loses: the course's own plugin, asked as nbgrader's AssignLatePenalties asks it."""

from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config


class LatePenalties:
    """The late policy that a course's configuration names."""

    def __init__(self, config: Config) -> None:
        self._preprocessor = AssignLatePenalties(config=config)
        self._preprocessor.init_plugin()

    def points(self, student: str, score: float, seconds: float) -> float | None:
        """Give the points taken off ``score`` for being ``seconds`` late, between 0 and the score; None for none."""
        if not self._preprocessor.enabled:
            return None
        found = self._preprocessor.plugin_inst.late_submission_penalty(student, score, seconds)
        return None if found is None else min(max(found, 0.0), score)
