"""Drills of authority: many made-up attempts to get past it, judged by the oracles of `tests.oracles`."""
