"""A topic: its metadata, the claims of its paper and the numbers that were published."""
