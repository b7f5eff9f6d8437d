"""Where training pictures come from, and how samples are made of them."""
