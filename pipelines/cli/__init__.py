"""The command line: a file per group of commands, a line per command in `main.COMMANDS`.

Modules load when their command is called. Begin with `main`; nothing below imports from here.
Stages, `run` and `demo` stand here; the other commands in rooms by what they are for.
"""
