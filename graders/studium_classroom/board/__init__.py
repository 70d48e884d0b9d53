"""The page on which the staff sees where a class is."""
