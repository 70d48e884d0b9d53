"""The grading engine, third design: tests call a student's functions in another process, with plain values.

The judge **J** runs tests and no code of the student's; the student's process **S** runs nothing but that. A test that
passes this way is *verified*. What the design promises is small, and each part of it is a rule:

* To S goes a pickle, because J is trusted. To J come msgpack messages that a closed decoder reads: it imports nothing
  and runs no method of a class that S named.
* What is neither plain data nor given by the reference solution stays in S. The test has a ``Remote`` of it, which can
  be called, iterated, and asked for public attributes; every other use is refused.
* What a test may receive is a set of words (``judge_side/permissions.py``), noted while the reference passes it.
  A reply that needs another word, and each refusal, leave the test *for review*, whoever catches the error.

The boundary
------------
``judge(test, student, text)`` judges one test of a topic against one student's process; the package ``judge`` has it.
It needs this of a ``judge_side.student.Student``::

    student = Student(sock, limits, secret)
    student.run(source)                       # a cell; CellRun
    with student.test(words) as watched:      # None for the words: record what the reference needs
        student.get("merge")(weight, a, b)    # a name of the student's; NameError where there is none
    watched.noted                             # the words that were needed
    watched.refusal                           # the first refusal, None where there was none: then it is for review
    watched.withheld                          # run once more with test(words, applied=True), and it must pass again
    watched.changed_later                     # the test changed a value after it had crossed: it cannot run apart

``StudentGone`` is raised as soon as the process is of no use.

The messages
------------
``wire/messages.py`` has them as structs. S answers each request with ``Ran``, ``Gave``, ``Raised`` or ``Broken``.
Before that it may ask J with ``CallBack`` and ``Pull``, which J answers with ``Returned``, ``Failed`` or ``Pulled``;
and J may send further requests before it answers. Nothing else may come.

Packages import from those before them: ``wire``, ``kinds``, then ``judge_side`` and ``student_side``, then ``judge``.
``judge_main`` and ``student_main`` are the two processes, which speak today's protocol for all other tests.
"""
