"""What the generated pages share."""

BACK = "Back to the [start of the documentation](../index.md).\n"
"""The last line of an index in a folder of docs/."""
