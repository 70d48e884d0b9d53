"""Images of cards: polygons are filled, letters have holes, and every diagram of ours can be drawn."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from studium.catalogue.catalogue import load_catalogue
from studium.site.cards.card import card
from studium.site.cards.diagram import draw
from studium.site.cards.lettering import letters, lines, width
from studium.site.cards.raster import Image
from studium.site.cards.shapes import path

DIAGRAMS = sorted((Path(__file__).parents[2] / "plugins" / "studium_topics").glob("*/*.svg"))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def decoded(png: bytes) -> np.ndarray:
    wide, high = struct.unpack(">II", png[16:24])
    length = struct.unpack(">I", png[33:37])[0]
    rows = np.frombuffer(zlib.decompress(png[41 : 41 + length]), np.uint8).reshape(high, 1 + 3 * wide)
    return rows[:, 1:].reshape(high, wide, 3)


def square(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def test_a_polygon_covers_the_pixels_inside_and_half_of_those_that_it_halves():
    image = Image(4, 3, WHITE)
    image.fill([square(1, 1, 2.5, 2)], BLACK)
    assert image.pixels[..., 0].tolist() == [[255] * 4, [255, 0, 127.5, 255], [255] * 4]


def test_what_runs_the_other_way_round_inside_is_a_hole_and_what_overlaps_is_filled():
    image = Image(6, 6, WHITE)
    image.fill([square(0, 0, 6, 6), square(2, 2, 4, 4)[::-1]], BLACK)
    assert image.pixels[3, 3, 0] == 255
    image.fill([square(0, 0, 4, 6), square(2, 0, 6, 6)], BLACK)
    assert image.pixels.max() == 0


def test_what_lies_outside_the_image_is_left_out():
    image = Image(4, 4, WHITE)
    image.fill([square(-3, -3, 1, 1), square(3, 3, 9, 9)], BLACK)
    image.fill([square(-3, -3, -1, -1)], BLACK)
    assert (image.pixels[..., 0] == 0).sum() == 2


def test_a_letter_has_its_hole_and_one_that_the_font_lacks_takes_no_room():
    image = Image(40, 40, WHITE)
    image.fill(letters("o", 10, 30, 40), BLACK)
    middle = image.pixels[21, :, 0]
    dark = np.flatnonzero(middle < 128)
    assert middle[(dark[0] + dark[-1]) // 2] == 255
    assert width("o\U0001f30a", 40) == width("o", 40)


def test_a_title_breaks_between_words():
    assert lines("Latent diffusion models", 10, width("Latent diffusion", 10)) == ["Latent diffusion", "models"]
    assert lines("Unbreakable", 10, 1) == ["Unbreakable"]


def test_a_path_of_straight_lines_has_its_corners():
    assert [line.tolist() for line in path("M1 2 H5 V-1.5 L0,0 Z")] == [[[1, 2], [5, 2], [5, -1.5], [0, 0], [1, 2]]]


BOX = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{}</svg>'


def test_a_diagram_that_cannot_be_drawn_is_left_out_of_the_card():
    without = card("Title", "Studium", "")
    for part in [
        '<path d="M0 0 C1 1 2 2 3 3"/>',
        '<path d="m0 0 h4"/>',
        '<g transform="scale(2)"/>',
        '<rect x="5%"/>',
        "",
    ]:
        svg = BOX.format(part) if part else '<svg viewBox="0 0"/>'
        assert card("Title", "Studium", svg) == without


def test_a_diagram_is_drawn_on_the_right_of_a_card():
    image = decoded(card("Title", "Studium", BOX.format('<rect class="learned" width="9" height="9"/>')))
    assert image[300, 800, 0] < 230


def test_each_diagram_leaves_ink_all_over_its_box():
    for svg in DIAGRAMS:
        image = Image(300, 200, WHITE)
        draw(image, ElementTree.fromstring(svg.read_text("utf-8")), (10, 10, 280, 180))
        rows, columns = np.nonzero(image.pixels.min(axis=2) < 200)
        assert columns.max() - columns.min() > 200 or rows.max() - rows.min() > 130, svg
        assert min(columns.min(), rows.min()) >= 5, svg


def test_a_card_is_an_image_of_the_size_that_services_ask_for_with_its_title_on_the_left():
    image = decoded(card("A very long title of a lesson that goes on and on", "Studium", ""))
    assert image.shape == (630, 1200, 3)
    assert (image[:, :400].min(axis=2) < 60).any()
    assert image[:, 1190:].min() > 240


def test_the_longest_words_of_our_lessons_end_before_the_panel_of_the_diagram():
    topics = [entry.topic for entry in load_catalogue().entries]
    title = max((topic.title for topic in topics), key=lambda text: max(width(word, 44) for word in text.split()))
    track = max((topic.track for topic in topics), key=lambda text: width(text, 28))
    image = decoded(card(title, f"Studium · {track}", BOX.format('<rect class="learned" width="9" height="9"/>')))
    assert image[:, 430:480].min() > 240
