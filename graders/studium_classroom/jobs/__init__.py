"""What a course server has done by a process of its own: grading and checking, with the engine's sandbox."""
