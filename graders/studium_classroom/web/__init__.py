"""The course server's addresses: who may ask for what. ``routes.py`` lists them for docs/classroom-api.md, too."""
