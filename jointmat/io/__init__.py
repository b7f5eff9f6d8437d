"""Reading and writing images and video."""
