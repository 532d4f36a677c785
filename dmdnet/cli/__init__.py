"""The command line: argument parsing and nothing else. Heavy imports wait until a command runs."""
