"""The student's side of the conversation: it does what the judge asks, and is trusted by nobody."""
