"""What each move means for each kind of step: events, and what must happen beside them. Pure."""
