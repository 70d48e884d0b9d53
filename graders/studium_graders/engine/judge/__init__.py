"""The judge: which tests run apart and which whole, what each is worth, and what is said of it.

``prepare.prepare`` reads a notebook of the material once, before any fork; ``apart.run_apart`` and ``whole.run_whole``
do a pass over one submission with it. Nothing is imported here, because ``events`` and ``verdicts`` are also the
supervisor's, whose process never needs torch.
"""
