"""``python -m studium`` is the command ``studium``."""

from studium.cli import main

main()
