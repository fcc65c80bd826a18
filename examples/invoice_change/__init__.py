"""The reference workflow invoice-change: from a request to change an invoice to a posting, or to everything as it was."""
