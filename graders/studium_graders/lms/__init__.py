"""Files of learning management systems: fill marks into the sheets they export, and take submissions from their
archives.
"""
