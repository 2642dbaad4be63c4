"""`lossmith fuzz`: inputs nobody thought of. Import from the files, not from here."""
