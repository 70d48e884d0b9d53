"""What was handed in, made into canonical submissions: only answers are theirs, all else is the assignment's."""
