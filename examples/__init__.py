"""Reference workflows with their agents and sample items."""
