"""Events: listens and what else listeners do."""
