"""How INT8 files are made unless told otherwise."""

COUNT = 32
"""training composites to calibrate on"""
SIDE = 384
"""their long side at the network, pixels"""
BUDGET = 0.005
"""mean |Δalpha| that the quantised groups of layers may add up to, each measured alone"""
WEIGHTS_LICENCE = "what the licences of the training sources listed below allow"
