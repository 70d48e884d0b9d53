"""Assignments: planned, built as notebooks, handed out and handed in."""
