"""Exercises and their answers: what they are, how an answer is compared, judged and explained."""
