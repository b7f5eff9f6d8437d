"""Tools to measure models: labelled images, peers, tables and sheets."""
