"""System checks of the design's assumptions, with stable ids (`aegis.E001` ...) and hints."""
