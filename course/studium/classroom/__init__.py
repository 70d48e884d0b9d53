"""The student's side of the course server: hand-outs, checks, submissions, marks. It holds no test and no solution."""
