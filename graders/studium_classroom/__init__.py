"""The course server: it hands out assignments, takes in submissions, checks, grades, and shows marks and feedback."""
