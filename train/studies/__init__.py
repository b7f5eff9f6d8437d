"""Studies of one question each: every file is a command."""
