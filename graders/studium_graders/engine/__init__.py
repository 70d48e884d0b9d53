"""The grading engine: student code in one sandboxed process, tests in another, typed values between them.

``intake`` makes a canonical submission, ``supervisor`` runs it in two processes forked from warm zygotes, ``judge``
holds the tests, ``remote`` is what the two say to each other, ``sandbox`` is what the student's process may do.
"""
