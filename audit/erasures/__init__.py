"""Emptying payloads, and what keeps them: erasures that people decided, legal holds, retention by class."""
