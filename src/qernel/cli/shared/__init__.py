"""What several commands share: arguments, options, tables, progress, places for results."""
