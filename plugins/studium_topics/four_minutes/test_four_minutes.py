"""The opener's experiment shows what the learner's line does, right or wrong."""

from __future__ import annotations

import torch

from studium_topics.four_minutes import exercises
from studium_topics.four_minutes.drawing import COLUMNS, drawings, film

REQUEST = "a large red ring"


def redness(images: torch.Tensor) -> torch.Tensor:
    """Return for each image by how much its reddest tenth of pixels is more red than green and blue."""
    excess = images[:, 0] - images[:, 1:].amax(1)
    return excess.flatten(1).topk(25).values.mean(1)


def cyanness(images: torch.Tensor) -> torch.Tensor:
    """Return for each image by how much its most cyan tenth of pixels is less red than green and blue."""
    excess = images[:, 1:].amin(1) - images[:, 0]
    return excess.flatten(1).topk(25).values.mean(1)


def rows(guide, measure=redness):
    last = film(guide, REQUEST)[-1]
    return [measure(row) for row in last.split(COLUMNS)]


def test_the_right_line_ignores_the_request_at_scale_0_and_follows_it_at_scales_1_and_4():
    ignored, followed, strong = rows(exercises.guide)
    assert (ignored > 0.5).sum() <= 2
    assert (followed > 0.5).all()
    assert (strong > 0.5).all()


def test_the_papers_line_follows_the_request_at_scale_0_already():
    (paper,) = [one for one in exercises.guide.misconceptions if one.name == "starts-at-told"]
    assert all((row > 0.5).all() for row in rows(paper.function))


def test_a_line_the_wrong_way_round_draws_cyan_shapes_at_scale_4():
    (wrong,) = [one for one in exercises.guide.misconceptions if one.name == "wrong-way"]
    assert (rows(wrong.function, cyanness)[-1] > 0.5).all()
    assert (rows(exercises.guide, cyanness)[-1] < 0.5).all()


def test_images_of_a_wrong_line_stand_next_to_those_of_the_right_one_from_the_same_noise():
    (paper,) = [one for one in exercises.guide.misconceptions if one.name == "starts-at-told"]
    shown = drawings(paper.function)
    half = COLUMNS // 2
    assert shown.captions[:COLUMNS] == ["scale 0, yours"] * half + ["scale 0, right"] * half
    assert shown.label == "a large red ring, drawn with your line and with the right one"
    right = drawings(exercises.guide).images
    assert (shown.images[0, :half] == shown.images[0, half:COLUMNS]).all()
    assert (shown.images[-1, half:COLUMNS] == right[-1, :half]).all()
    assert (shown.images[-1, :half] != right[-1, :half]).any()


def test_a_right_line_that_rounds_in_another_way_is_not_compared():
    shown = drawings(lambda told, untold, scale: scale * told + (1 - scale) * untold)
    assert shown.label == "a large red ring, drawn with your line"


def test_an_edition_without_solutions_shows_only_the_learners_images(monkeypatch):
    monkeypatch.setattr(exercises.guide, "public", True)
    (paper,) = [one for one in exercises.guide.misconceptions if one.name == "starts-at-told"]
    shown = drawings(paper.function)
    assert shown.captions[:COLUMNS] == ["scale 0"] * COLUMNS
    assert shown.label == "a large red ring, drawn with your line"


def not_written(told, untold, scale):
    raise NotImplementedError


def test_where_the_line_is_not_written_the_courses_own_draws_and_the_label_says_so():
    shown = drawings(not_written)
    assert shown.label == "a large red ring, drawn with the course's own line; yours does not run yet"
    assert (shown.images == drawings(exercises.guide).images).all()


def test_an_edition_without_solutions_shows_the_noise_and_says_so(monkeypatch):
    monkeypatch.setattr(exercises.guide, "public", True)
    shown = drawings(not_written)
    assert shown.label == "noise, because guide does not run yet"
    assert len(shown.steps) == 1


def test_the_grid_is_labelled_with_the_request_and_each_image_with_its_scale():
    shown = drawings(exercises.guide)
    assert shown.label == "a large red ring, drawn with your line"
    assert shown.captions == ["scale 0"] * COLUMNS + ["scale 1"] * COLUMNS + ["scale 4"] * COLUMNS
    assert shown.steps == ["step 0", "step 5", "step 10", "step 15", "step 20", "step 25"]
