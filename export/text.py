"""Tables that read well in a terminal and in a README."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown of rows of one length, whose first is the head; columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
