"""Generations and their token log in PostgreSQL."""
