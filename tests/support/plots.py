"""What every plot has to have."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


def check(figure: Figure) -> None:
    """Draws a plot, which has to have a title and labelled axes."""
    figure.savefig(io.BytesIO(), format="png")
    assert figure.get_suptitle()
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel() or "importance" in figure.get_suptitle()
