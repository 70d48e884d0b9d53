"""The grading engine: student code in one sandboxed process, tests in another, typed values between them.

README.md beside this file says how a submission and a call travel, and by which rules.
"""
