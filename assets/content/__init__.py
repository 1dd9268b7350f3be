"""Content: audio, catalog metadata and lyrics."""
