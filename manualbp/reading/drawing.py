"""The figure that everything is drawn on: its texts are text, never formulas."""

import warnings

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text

_LEGEND = 48
"""Characters of a legend's entry: longer ones would leave the panels no room."""


class PlainFigure(Figure):
    """A figure that reads no text as TeX: a name such as ``$x$`` stands there as it is.

    A name may be no valid formula, or a formula that says something else.
    """

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure."""
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)
            text.set_usetex(False)
            if "$" in text.get_text():  # to wrap it, matplotlib takes it for a formula all the same
                text.set_wrap(False)
        for text in (text for legend in self.legends for text in legend.get_texts()):
            if len(text.get_text()) > _LEGEND:
                text.set_text(f"{text.get_text()[:_LEGEND]}…")
        # The context is for texts that are made while drawing, as ticks are.
        with (
            mpl.rc_context({"text.parse_math": False, "text.usetex": False}),
            warnings.catch_warnings(),
        ):
            # A box stands for a character that the font lacks.
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
            # Names can be too long for any layout; the page has them in full.
            warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
            super().draw(renderer)
