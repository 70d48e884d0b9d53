"""Runs submissions under limits: the engine, one supervisor a submission, and what is learnt from the reference."""
