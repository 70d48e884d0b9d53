"""Notebooks: built from a topic, read and written as files, linked from elsewhere."""
