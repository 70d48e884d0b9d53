import pytest
import torch
from studium_topics.kits import shapes


def drawn(scenes, side=32, noise=0.0, seed=0):
    return shapes.draw(scenes, side, torch.Generator().manual_seed(seed), noise)


def every_kind_alone():
    return shapes.alone(shapes.kinds(), torch.Generator().manual_seed(1))


def test_every_kind_has_a_caption_of_its_own():
    captions = {scene[0].caption for scene in every_kind_alone()}
    assert len(captions) == 60
    assert "a small red ring" in captions


def test_a_shape_is_whole_and_its_box_is_tight():
    for side in [16, 32]:
        drawing = drawn(every_kind_alone(), side)
        for cover, box in zip(drawing.cover[:, 0], drawing.boxes[:, 0], strict=True):
            rows, columns = (cover.amax(axis) > 0 for axis in (1, 0))
            found = [
                columns.nonzero().min(),
                rows.nonzero().min(),
                columns.nonzero().max() + 1,
                rows.nonzero().max() + 1,
            ]
            assert (torch.stack(found) - box).abs().max() <= 1.5  # half a pixel of soft edge, and one of rounding
            assert box.min() >= 0
            assert box.max() <= side


def test_a_shape_has_its_colour_and_images_run_from_minus_one_to_one():
    scenes = every_kind_alone()
    drawing = drawn(scenes, noise=0.05)
    assert drawing.images.shape == (60, 3, 32, 32)
    assert drawing.images.min() >= -1
    assert drawing.images.max() <= 1
    for scene, image, cover in zip(scenes, drawing.images, drawing.cover[:, 0], strict=True):
        ink = torch.tensor(list(shapes.COLOURS.values())[scene[0].colour])
        mean = (image[:, cover == 1].mean(1) + 1) / 2
        assert (mean - ink).abs().max() < 0.3


def test_forms_differ_in_what_they_cover():
    place = {"colour": 0, "size": 1, "x": 0.5, "y": 0.5, "radius": 0.35}
    cover = drawn([(shapes.Shape(form=form, **place),) for form in range(len(shapes.FORMS))]).cover[:, 0]
    for first in range(len(cover)):
        for second in range(first):
            assert (cover[first] - cover[second]).abs().sum() > 40


def test_the_mask_is_the_union_of_all_shapes():
    scenes = shapes.in_quadrants([["red ring", "blue disc"], ["white cross"]], torch.Generator().manual_seed(0))
    drawing = drawn(scenes)
    assert torch.equal(drawing.mask, (drawing.cover >= 0.5).any(1))
    assert drawing.count.tolist() == [2, 1]
    assert not drawing.cover[1, 1].any()
    assert not drawing.boxes[1, 1].any()


def test_shapes_in_quadrants_have_their_names_and_do_not_touch():
    names = ["red ring", "blue disc", "green cross", "red square"]
    scenes = shapes.in_quadrants([names] * 20, torch.Generator().manual_seed(0))
    assert [shape.name for shape in scenes[0]] == names
    assert (drawn(scenes).cover > 0).sum(1).max() == 1
    places = {tuple(shape.x < 0.5 for shape in scene) for scene in scenes}
    assert len(places) > 3, "a name is not always in the same quadrant"


def test_what_cannot_be_drawn_is_refused_in_one_sentence():
    for row in [["red blob"], ["red disc"] * 5]:
        with pytest.raises(ValueError, match="up to 4 shapes"):
            shapes.in_quadrants([row], torch.Generator())


def test_kinds_leave_out_what_is_held_out():
    left = shapes.kinds(held_out=("red disc", "green ring"))
    assert len(left) == 56
    names = {scene[0].name for scene in shapes.alone(left, torch.Generator().manual_seed(0))}
    assert names == set(shapes.NAMES) - {"red disc", "green ring"}


def test_a_seed_gives_the_same_images_and_another_one_others():
    scenes = every_kind_alone()
    assert torch.equal(drawn(scenes, seed=3, noise=0.1).images, drawn(scenes, seed=3, noise=0.1).images)
    assert not torch.equal(drawn(scenes, seed=3).images, drawn(scenes, seed=4).images)
