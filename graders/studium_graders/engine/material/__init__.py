"""What is graded against: the cells of an assignment, tests and solutions among them, and what the solutions need.

Nothing here is ever in a student's process.
"""
