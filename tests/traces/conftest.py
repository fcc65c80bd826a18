"""Runs of these tests call the bank of the effects' tests: nobody hears in one test what was said in another."""

from __future__ import annotations

from tests.effects.conftest import bank

__all__ = ["bank"]
