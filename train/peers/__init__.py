"""Several systems on the same photos, scored by the same code."""
