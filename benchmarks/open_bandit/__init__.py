"""Parts of `off_policy`: the Open Bandit Dataset, and `obp` in an environment of its own beside our estimators."""
