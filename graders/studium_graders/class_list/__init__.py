"""The class list: who is in a course, where the list comes from, and how it changes."""
