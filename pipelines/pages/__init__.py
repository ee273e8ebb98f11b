"""Pages of HTML that need nothing else; all text of datasets is escaped."""
