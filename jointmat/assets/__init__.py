"""Files that come with the package."""

from pathlib import Path

PORTRAIT = Path(__file__).parent / "astronaut.jpg"
"""A portrait, 512×512, in the public domain; see README.md beside it."""
