"""The reference workflow ops-incident: from an alert of any product to a fix that was verified, or to everything as it was."""
