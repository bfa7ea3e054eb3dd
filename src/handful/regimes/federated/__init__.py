"""Federated: sites that may not share their rows fit one model from sums of them."""
