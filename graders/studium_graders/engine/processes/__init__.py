"""Processes: warm ancestors, forks of them, what they are linked by, and how they end."""
