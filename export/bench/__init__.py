"""Speed and memory: systems side by side, each in a process of its own, in interleaved rounds."""
