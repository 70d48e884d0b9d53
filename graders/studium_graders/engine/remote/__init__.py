"""What the judge and the student's process say to each other: calls, typed values, gradients, and no code."""

from studium_graders.engine.remote.policy import Policy
from studium_graders.engine.remote.recording import RecordingStudent
from studium_graders.engine.remote.session import Student
from studium_graders.engine.remote.student_gone import StudentGone

__all__ = ["Policy", "RecordingStudent", "Student", "StudentGone"]
