"""Work that comes in as files: reading lines of JSON and sheets as they stream by, and the command that submits them."""
