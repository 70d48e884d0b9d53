"""What ends a test from outside: the student's process is gone."""

from studium_graders.engine.material.results import Verdict


class StudentGone(Exception):  # noqa: N818
    """The student's process cannot be used any more. ``sentence`` says why, for the student."""

    def __init__(self, verdict: Verdict, sentence: str) -> None:
        super().__init__(sentence)
        self.verdict = verdict
        self.sentence = sentence
