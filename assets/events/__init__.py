"""Events: listens and other actions of listeners, and statistics of them."""
