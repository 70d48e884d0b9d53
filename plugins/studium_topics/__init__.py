"""Studium's own topics: one folder each, found through entry points exactly as a stranger's are."""
