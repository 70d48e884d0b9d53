"""Print what CHANGELOG.md says of the version that a tag such as v0.1.0 names, which must be the package's version.

python .ci/release_notes.py v0.1.0
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, changelog: str, version: str) -> str:
    """Return the section of the version; end with a sentence if there is none, or if the tag names another version."""
    if tag != f"v{version}":
        sys.exit(
            f"the tag must be v{version}, the version in course/studium/__init__.py: got {tag}; correct one of them"
        )
    section = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not section:
        sys.exit(f"CHANGELOG.md needs a section '## {version}' with its date; rename 'Unreleased' and start a new one")
    return section[1].strip()


if __name__ == "__main__":
    own = re.search(r'__version__ = "(.+)"', (ROOT / "course/studium/__init__.py").read_text("utf-8"))
    assert own
    print(notes(sys.argv[1], (ROOT / "CHANGELOG.md").read_text("utf-8"), own[1]))  # noqa: T201
