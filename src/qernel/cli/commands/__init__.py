"""The commands, one a file: each declares its arguments and runs."""
