"""Files of learning management systems: marks into the sheets that they export, submissions out of their archives."""
