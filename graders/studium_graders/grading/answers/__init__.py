"""Answers of a class beside each other: their code without what changes nothing, and which are the same."""
