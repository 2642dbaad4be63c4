"""Data sets for the laboratory: files and built-in names in, arrays of numbers out."""
