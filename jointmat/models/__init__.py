"""The network, one part a file. Everything here needs torch."""
