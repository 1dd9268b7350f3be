"""Erasure: a person is taken out of whatever the platform keeps, and proof that nothing of them is left."""
