"""Saved views: an address with filters that a person keeps under a name, for himself or for a group."""
