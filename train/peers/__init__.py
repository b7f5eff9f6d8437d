"""Several systems on the same images, scored by the same code."""
