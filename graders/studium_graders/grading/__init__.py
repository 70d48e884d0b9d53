"""The grading of a class: from what was handed in to marks in the gradebook.

``late`` holds late work and who gets more time; ``answers`` compares the answers of a class with one another.
"""
