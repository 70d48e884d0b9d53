"""What is true of a wrong answer, in one sentence for the learner: from its recorded calls, and from nothing else.

Modules, each of which may import those before it: ``failed_test`` (what one test says), ``budget``, ``values``,
``evidence`` (which calls count), ``writing``, ``cutting`` and ``smallest`` (the smallest call that goes wrong),
``finding`` (a sentence), the sentences' own modules, and ``sentences`` (which of them is said).
"""
