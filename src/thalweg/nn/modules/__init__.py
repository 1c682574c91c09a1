"""The modules, one theme a file."""
