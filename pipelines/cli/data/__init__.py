"""Commands on datasets and tables: what they hold, whether it is whole, other forms of it."""
