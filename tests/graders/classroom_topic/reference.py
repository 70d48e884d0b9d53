"""Nothing that a student may have."""

REFERENCE = "the reference implementation"
