"""The command line: one file per command, options written once."""
