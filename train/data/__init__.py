"""Training images, and how samples are made from them."""
