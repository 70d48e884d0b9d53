"""The student's side of the course server: hand-outs, checks, submissions, marks. It has no tests and no solutions."""
