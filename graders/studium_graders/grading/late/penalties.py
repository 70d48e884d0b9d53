"""What a late notebook loses: the course's own plugin, called the way nbgrader's AssignLatePenalties does."""

from pathlib import Path

from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from studium.errors import CourseError
from traitlets.config import Config

from studium_graders.course.folder import modules_of
from studium_graders.grading.late.policy import LatePolicy


class LatePenalties:
    """The late policy set by the configuration of the course in ``root``."""

    def __init__(self, config: Config, root: Path) -> None:
        with modules_of(root):
            self._preprocessor = AssignLatePenalties(config=config)
            self._preprocessor.init_plugin()

    @property
    def may_cost(self) -> bool:
        """Whether handing in late can cost points; for a course's own plugin that is unknown, so it may."""
        plugin = self._preprocessor.plugin_inst
        setting = {LatePolicy: "policy", LateSubmissionPlugin: "penalty_method"}.get(type(plugin))
        return bool(self._preprocessor.enabled) and (setting is None or getattr(plugin, setting) != "none")

    def points(self, student: str, score: float, seconds: float) -> float | None:
        """Return the points taken off ``score`` for being ``seconds`` late, between 0 and the score, or None.

        Raise CourseError if the course's plugin returns no points.
        """
        if not self._preprocessor.enabled:
            return None
        plugin = self._preprocessor.plugin_inst
        try:
            found = plugin.late_submission_penalty(student, score, seconds)
            return None if found is None else min(max(found, 0.0), score)
        except Exception as error:
            raise CourseError(
                f"the late policy {type(plugin).__name__} must return points when {student} has {score:g} points and "
                f"is {seconds:g} s late: {type(error).__name__}: {error}; correct it and grade again"
            ) from error
