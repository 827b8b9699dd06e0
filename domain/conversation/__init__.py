"""Conversations: opening, listing, sending into and deleting them."""
