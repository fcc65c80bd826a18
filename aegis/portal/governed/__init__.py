"""Pages of every kind of configuration: one list, one document page (overview, edit, history), one door for changes."""
