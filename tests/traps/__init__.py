"""One test per trap of HAZARDS 3 and 4; docs/traps.md says which."""
