"""The kinds of values that cross, one file each, and the table of them: a new one is a file and a row."""
