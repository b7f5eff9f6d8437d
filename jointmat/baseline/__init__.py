"""The classic pipeline of two networks, kept as the baseline to beat."""
