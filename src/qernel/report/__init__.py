"""Reports: one HTML file with figures, tables and provenance of a run or of measured results."""
