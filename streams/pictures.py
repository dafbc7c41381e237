"""Pictures drawn with numpy alone."""

from __future__ import annotations

import numpy as np

from streams.media.outputs import Picture

# Each character is five rows of three dots.
_DOTS = {
    "0": "###|# #|# #|# #|###",
    "1": "  #|  #|  #|  #|  #",
    "2": "###|  #|###|#  |###",
    "3": "###|  #|###|  #|###",
    "4": "# #|# #|###|  #|  #",
    "5": "###|#  |###|  #|###",
    "6": "###|#  |###|# #|###",
    "7": "###|  #|  #|  #|  #",
    "8": "###|# #|###|# #|###",
    "9": "###|# #|###|  #|###",
    ":": "   | # |   | # |   ",
}
_BACKGROUND, _INK = np.array([16, 20, 24], np.uint8), np.array([120, 230, 210], np.uint8)


def digits(text: str, height: int, width: int) -> Picture:
    """Draw digits and colons in the middle of a picture of shape (height, width, 3)."""
    glyphs = [np.array([[dot == "#" for dot in row] for row in _DOTS[letter].split("|")]) for letter in text]
    gap = np.zeros((5, 1), bool)
    dots = np.hstack([part for glyph in glyphs for part in (glyph, gap)][:-1])
    scale = min(width * 9 // 10 // dots.shape[1], height * 9 // 10 // dots.shape[0])
    mask = np.kron(dots, np.ones((scale, scale), bool))
    picture = np.broadcast_to(_BACKGROUND, (height, width, 3)).copy()
    top, left = (height - mask.shape[0]) // 2, (width - mask.shape[1]) // 2
    picture[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = _INK
    return picture


def edges(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """How much the brightness changes at each point, 0 to 255, in all three channels."""
    grey = picture.mean(axis=2, dtype=np.float32)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    strength = np.minimum((across + down) * 4, 255)
    return np.repeat(strength[:, :, None], 3, axis=2)
