"""Strategies that keep the backbone as it is: heads on its features, their search, their pool, their learning curve."""
