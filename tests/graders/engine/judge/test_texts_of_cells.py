"""A test leaves nothing of its text in the student's process once it has run."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import grade_forked

TEST = "assert 'four' in In[-2] and get_ipython()\nsecret = 4\nsecret"


@pytest.mark.parametrize(
    "look",
    [
        "In[-2] == _i == '' and not any('secret =' in text for text in In[:-1])",
        "'four' in In[-3] and max(Out, default=1) == 1 and not {'_2', '_i2'} & globals().keys()",
    ],
)
def test_of_a_test_that_has_run_there_its_place_alone_is_left(shell, look):
    notebook = material(
        answer("four = 4"), checked(TEST, points=4), answer("seen = 4"), checked("assert seen == 4 and get_ipython()")
    )
    texts = "four = 4", f"seen = 4 if {look} else 0"
    graded = grade_forked(shell, notebook, submission(notebook, *texts))
    first, second = graded.results.values()
    assert (first.points, first.mode, second.points, second.mode) == (4, "unverified", 1, "unverified")
