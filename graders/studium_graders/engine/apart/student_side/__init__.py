"""The student's end: it serves requests, and nothing secret is ever in it."""
