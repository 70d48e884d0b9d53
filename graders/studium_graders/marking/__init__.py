"""Marking by hand, by question: rubrics, who holds which answer, and the marks in nbgrader's gradebook."""
