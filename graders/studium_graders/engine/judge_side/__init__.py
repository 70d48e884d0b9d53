"""The judge's end of the conversation: it trusts nothing that comes, and gives little away.

A test needs this of a ``student.Student``::

    student = Student(sock, limits, secret)
    student.run(source)                       # a cell; CellRun
    with student.test(words) as watched:      # None for the words: record what the reference needs
        student.get("merge")(weight, a, b)    # a name of the student's; NameError where there is none
    watched.noted                             # the words that were needed
    watched.refusal                           # the first refusal, None where there was none: then it is for review
    watched.withheld                          # run once more with test(words, applied=True), and it must pass again
    watched.changed_later                     # the test changed a value after it had crossed: it cannot run apart

``StudentGone`` is raised as soon as the process is of no use.
"""
