"""Plots."""

from pathlib import Path

from matplotlib.figure import Figure

from jointmat.io.atomic import atomic_write


def save_plot(path: Path, figure: Figure) -> None:
    """Write a figure as PNG or SVG, by the path's extension."""
    with atomic_write(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=120)
