"""The page's colours: told apart by every kind of colour vision, and dark enough to be seen."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import manualbp.reading.page

STYLE = (Path(manualbp.reading.page.__file__).parent / "templates" / "page.css").read_text()

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "full": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
FIRST = 4
"""The looks that must be told by colour alone; further ones have their markers besides."""


def colours(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


BLOCKS = [colours(block) for block in re.findall(r":root[^{]*\{([^}]*--page[^}]*)\}", STYLE)]
THEMES = {"light": BLOCKS[0], "dark": BLOCKS[1]}


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array(TO_XYZ) @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    bright, dark = sorted((float(np.dot(TO_XYZ[1], linear(c))) for c in (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def apart(one, other, vision):
    matrix = np.array(VISION[vision])
    return np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other)))


def test_both_ways_into_the_dark_have_the_same_colours():
    assert len(BLOCKS) == 3
    assert BLOCKS[1] == BLOCKS[2]


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_gradients_are_told_apart_by_every_colour_vision(theme, vision):
    looks = [THEMES[theme][f"look-{number}"] for number in range(FIRST)]
    for one, other in itertools.combinations(looks, 2):
        assert apart(one, other, vision) > 15, (one, other)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_faster_and_slower_are_told_apart_by_every_colour_vision(theme, vision):
    assert apart(THEMES[theme]["fast"], THEMES[theme]["slow"], vision) > 30


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_text_stand_out(theme):
    known = THEMES[theme]
    for number in range(7):
        assert contrast(known[f"look-{number}"], known["page"]) >= 3
    for text in ("ink", "muted", "accent", "failed"):
        assert contrast(known[text], known["page"]) >= 4.5
    for cell in ("fast", "slow"):  # the numbers in the strongest cells
        assert contrast(known["ink"], known[cell]) >= 4.5
