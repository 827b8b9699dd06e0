"""Generations: runs of a model that write a reply, their token log, and those who follow it."""
