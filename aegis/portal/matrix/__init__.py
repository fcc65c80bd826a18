"""The access matrix as a page: the grid, the reason of one cell, and the question box."""
