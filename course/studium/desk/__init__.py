"""The learner's desk: what was done, kept for good, and what follows from it.

Everything that a learner does is an entry that is never changed (``records``), kept in one SQLite file (``store``).
What the panel and the commands show is derived from the entries (``standing``, ``syllabus``, ``review``). So two
machines agree by exchanging entries (``progress_file``).
"""
