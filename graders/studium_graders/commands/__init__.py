"""The classroom commands, each in a module of its own. What they need is imported when they run."""
