"""Content: audio, metadata and lyrics."""
