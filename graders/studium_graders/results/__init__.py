"""What grading found: results and their history on disk, and the files that show them safely."""
