"""Erasing what was recorded of runs: asked for by one, approved by two others, applied by AEGIS; legal holds; retention."""
