"""Oracles: what the documents promise, written a second time without reading the product. See README.md."""
