"""Export and benchmarks, run from the checkout: `python -m export`."""
