"""The judge: runs the tests of one notebook against a student's process, and says what each is worth.

``prepare.prepare`` reads a notebook of the material once, before any fork; ``notebook.run_notebook`` grades one
submission with it. Nothing is imported here, because ``events`` and ``verdicts`` are also the supervisor's, whose
process never needs torch.
"""
