"""support-intake, the reference workflow: classify, check, route, open a ticket, answer. See README.md here."""
