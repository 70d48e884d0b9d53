"""Print pip's constraints for the oldest version of everything that pyproject.toml names without an upper bound.

python .ci/oldest.py > oldest.txt && PIP_CONSTRAINT=$PWD/oldest.txt make test
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
for line in sorted(
    {
        *project["dependencies"],
        *(line for extra in ("topics", "grade") for line in project["optional-dependencies"][extra]),
    }
):
    if found := re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", line):
        print(f"{found[1]}=={found[2]}")  # noqa: T201
