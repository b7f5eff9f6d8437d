"""`python -m jointmat` is the command line."""

from jointmat.cli.main import main

main()
