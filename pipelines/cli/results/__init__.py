"""Commands that show what came out of a run: report, prototypes; and what of it stays."""
