"""What the history of a policy's requests says about its thresholds: advice with evidence, never a change (docs/adr/0058)."""
