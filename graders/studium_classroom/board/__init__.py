"""The page on which staff can follow the progress of a class."""
