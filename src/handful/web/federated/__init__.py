"""Federated fits over HTTP: the coordinator's service, and the site that speaks to it."""
