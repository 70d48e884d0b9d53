"""How a student's process says why it ended itself. Its code can say the same: it harms nobody but itself."""

TOO_MUCH_OUTPUT = 74
