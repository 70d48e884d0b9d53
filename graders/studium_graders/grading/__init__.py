"""The grading of a class: from what was handed in to marks in the gradebook."""
