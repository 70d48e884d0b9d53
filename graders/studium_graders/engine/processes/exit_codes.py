"""How a forked process says why it ended itself. A student's code can say the same: it harms nobody but itself."""

ENGINE_FAILED = 70
TOO_MUCH_OUTPUT = 74
