"""Metrics: a projection that follows the journal. Rebuilt from zero it is the same; nothing in it is a record."""
