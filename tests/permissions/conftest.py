"""The house of masking, where something of every kind stands, with people who may do next to nothing in it."""

from tests.masking.conftest import at_desk, clerk, furnish, nia, sensitive_house, zoe

__all__ = ["at_desk", "clerk", "furnish", "nia", "sensitive_house", "zoe"]
