"""Work that a course server does in separate processes: grading and checking, with the engine's sandbox."""
