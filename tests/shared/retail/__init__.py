"""An online shop's written policy as documents of ours, its tools as effects on records, and its customers' calls replayed."""
