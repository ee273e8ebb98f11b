"""The command line: one file per group of commands, one line each in `COMMANDS`.

Modules load when their command is called.
"""
