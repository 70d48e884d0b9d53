"""Plugins and what they bring: the hooks, and the catalogue of all topics."""
