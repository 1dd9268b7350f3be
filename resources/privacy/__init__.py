"""Erasure: remove a listener from all stored data, and prove that no trace is left."""
