"""The judge's end: the student as an object, what it may receive, and what it lends."""
