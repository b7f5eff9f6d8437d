"""Defaults for INT8 files."""

COUNT = 32
"""training composites to calibrate on"""
SIDE = 384
"""their long side at the network, pixels"""
BUDGET = 0.005
"""sum of mean |Δalpha| of the quantised groups of layers, each measured alone"""
WEIGHTS_LICENCE = "as the licences of the training sources listed below allow"
