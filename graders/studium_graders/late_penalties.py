"""What a late notebook loses: the course's own plugin, asked as nbgrader's AssignLatePenalties asks it."""

from pathlib import Path

from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from studium.errors import CourseError
from traitlets.config import Config

from studium_graders.course_folder import modules_of
from studium_graders.late_policy import LatePolicy


class LatePenalties:
    """The late policy that the configuration of the course in ``root`` names."""

    def __init__(self, config: Config, root: Path) -> None:
        with modules_of(root):
            self._preprocessor = AssignLatePenalties(config=config)
            self._preprocessor.init_plugin()

    @property
    def may_cost(self) -> bool:
        """Whether handing in late can cost points; of a plugin of the course's own it is not known, and so it may."""
        plugin = self._preprocessor.plugin_inst
        setting = {LatePolicy: "policy", LateSubmissionPlugin: "penalty_method"}.get(type(plugin))
        return bool(self._preprocessor.enabled) and (setting is None or getattr(plugin, setting) != "none")

    def points(self, student: str, score: float, seconds: float) -> float | None:
        """Return the points taken off ``score`` for being ``seconds`` late, between 0 and the score; None for none.

        Raise CourseError where the course's plugin gives no points.
        """
        if not self._preprocessor.enabled:
            return None
        plugin = self._preprocessor.plugin_inst
        try:
            found = plugin.late_submission_penalty(student, score, seconds)
            return None if found is None else min(max(found, 0.0), score)
        except Exception as error:
            raise CourseError(
                f"the late policy {type(plugin).__name__} must give points for {score:g} points of {student} that are "
                f"{seconds:g} s late: {type(error).__name__}: {error}; correct it and grade again"
            ) from error
