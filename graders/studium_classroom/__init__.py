"""The course server: it hands assignments out, takes submissions in, checks, grades, and shows marks and feedback."""
