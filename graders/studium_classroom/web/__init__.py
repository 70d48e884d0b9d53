"""The course server's addresses: who may ask for what. ``routes.py`` lists them, also for docs/classroom-api.md."""
