"""What agents of several reference workflows share."""
