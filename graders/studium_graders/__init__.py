"""Assignments, grading and classroom commands: a plugin of the host, which does not know it."""
