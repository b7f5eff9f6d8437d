"""Operators of the model: morphology and patches."""
