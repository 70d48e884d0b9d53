"""Feedback for students: a page for each submission and notebook, from the gradebook, the results and the notebook."""

from studium_graders.feedback.writing import Feedback, FeedbackPage, write_feedback

__all__ = ["Feedback", "FeedbackPage", "write_feedback"]
