"""Kinds of values that come back from the student, each with a rule of its own."""
