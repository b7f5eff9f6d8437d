"""Soft labels from coarse masks: what can be known about the edge, and how far it is to be trusted."""
