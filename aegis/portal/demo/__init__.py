"""The demo: the reference workflow with sample items, and the command that puts any CSV of requests through it."""
