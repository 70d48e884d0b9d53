"""nbgrader's gradebook: read, guarded, and its errors in one sentence."""
