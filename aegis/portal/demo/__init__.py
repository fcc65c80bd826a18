"""The demo: the reference workflows with sample items, and the command that puts any CSV of requests through it."""
