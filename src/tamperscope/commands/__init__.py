"""One module per command of the command line, or per family of commands."""
