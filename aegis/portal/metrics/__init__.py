"""The pages of the metrics: what was counted from the journal, drawn, each figure with the list behind it."""
