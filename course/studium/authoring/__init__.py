"""The author's kit: check a topic, start one from a template, and rebuild it while you write."""
