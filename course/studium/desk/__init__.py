"""The learner's desk: a permanent record of what was done, and what follows from it.

Everything that a learner does is an entry that never changes (``records``), kept in one SQLite file (``store``). What
the panel and the commands show is derived from the entries (``standing``, ``syllabus``, ``review``), so two machines
agree once they have exchanged entries (``progress_file``).
"""
