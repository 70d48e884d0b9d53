"""Two little topics as strangers' packages, one for each application: a browser opens and checks them quickly."""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
from studium import Topic, hookimpl


@hookimpl
def studium_topics():
    yield Topic(slug="{slug}", title="{title}", track="Samples", summary="A sample.", package=__name__)
"""

EXERCISES = '''
from studium import exercise


@exercise(points=2, minutes=5, hints=("How many numbers are there?", "Divide the sum by it."))
def mean(numbers):
    """Give the arithmetic mean of some numbers."""
    ### BEGIN SOLUTION
    return sum(numbers) / len(numbers)
    ### END SOLUTION


@mean.test("knows the mean of three numbers", points=1)
def _(mean):
    assert mean([1, 2, 6]) == 3, f"expected 3, got {mean([1, 2, 6])}"


@mean.hidden("knows the mean of any numbers", points=1)
def _(mean):
    assert mean([1, 2]) == 1.5, f"expected 1.5, got {mean([1, 2])}"


@mean.misconception("You gave the sum; the mean is the sum divided by how many numbers there are.")
def _(numbers):
    return sum(numbers)


@mean.misconception("You gave the middle number; that is the median.")
def _(numbers):
    return sorted(numbers)[len(numbers) // 2]


@exercise(points=1, minutes=5, hints=("Which two numbers matter?",), level="stretch", kind="derive", importance=1)
def spread(numbers):
    """Give the distance of the largest number from the smallest."""
    ### BEGIN SOLUTION
    return max(numbers) - min(numbers)
    ### END SOLUTION


@spread.test("knows the spread of three numbers", points=1)
def _(spread):
    assert spread([4, 1, 6]) == 5, f"expected 5, got {spread([4, 1, 6])}"


@spread.misconception("You gave the largest number; take the smallest one away from it.")
def _(numbers):
    return max(numbers)
'''

LESSON = """
# %% [markdown]
# # {title}
#
# The <dfn>mean</dfn> of some numbers is their sum divided by how many there are.

# %% [markdown]
# A sentence that will be improved.

# %% exercise="mean"
from {package}.exercises import mean

# %% [markdown]
# ## Further

# %% exercise="spread"
from {package}.exercises import spread

# %% tags=["experiment"]
lesson.predict("mean", 4, "What is the mean of 1, 2 and 6?")

# %% tags=["experiment"]
lesson.found("mean", lesson.mine(mean)([1, 2, 6]))

# %% tags=["experiment"]
lesson.predict("spread", ..., "What is the spread of 4, 1 and 6?")

# %% tags=["experiment"]
lesson.found("spread", lesson.mine(spread)([4, 1, 6]))
print("measured")
"""

TOPICS = {"first-steps": "First steps", "second-steps": "Second steps"}


def install(site: Path) -> None:
    """Write both topics into a folder of installed packages."""
    for slug, title in TOPICS.items():
        name = slug.replace("-", "_")
        info, package = site / f"{name}-1.0.dist-info", site / name
        for folder in (info, package):
            folder.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {slug}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[studium]\n{slug} = {name}\n")
        (package / "__init__.py").write_text(PLUGIN.format(slug=slug, title=title))
        (package / "exercises.py").write_text(EXERCISES)
        (package / "lesson.py").write_text(LESSON.format(title=title, package=name))


def improve(site: Path, slug: str) -> None:
    """Publish a better edition of a topic's lesson."""
    lesson = site / slug.replace("-", "_") / "lesson.py"
    lesson.write_text(lesson.read_text().replace("that will be improved", "that has been improved"))
