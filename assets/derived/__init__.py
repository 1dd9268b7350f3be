"""Derived: results computed from content and events, one file per result."""
