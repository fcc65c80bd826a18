"""Screens of the operator: runs and review queues. Views hold no rules; they call the engine's verbs."""
