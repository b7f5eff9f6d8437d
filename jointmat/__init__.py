"""Portrait matting in one pass."""
