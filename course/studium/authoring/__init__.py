"""The author's kit: checking a topic, starting one from a template, and rebuilding it while it is written."""
