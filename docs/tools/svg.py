"""The shapes of SVG that the pictures are drawn with: those of the live figures."""

from purecnn.playground.figures.svg import BLUE, GREEN, INK, ORANGE, PAPER, Picture, number, shade, written

__all__ = ["BLUE", "GREEN", "INK", "ORANGE", "PAPER", "Picture", "number", "shade", "written"]
