"""Derived: what follows from content and events. One file per derived thing."""
