"""The kinds of values that cross, one file a kind, and the table of them in ``table``: a new one is a file and a row."""
