"""Training and evaluation, run from the checkout: `python -m train`."""
