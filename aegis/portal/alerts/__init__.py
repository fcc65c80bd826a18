"""Alerts for people on call: what fires, the graph that fired, what else changed then, and what was done about it."""
