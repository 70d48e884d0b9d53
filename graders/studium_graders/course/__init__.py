"""A course folder: its course.toml, what it limits, shares and makes public."""
