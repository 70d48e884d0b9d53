"""Experiments: run with the reference or a learner's own functions, measured, and shown beside the paper's."""
