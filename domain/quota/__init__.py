"""Quotas: how much a user may take in which time, decided before a model is asked."""
