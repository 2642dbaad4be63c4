"""What losses and options mean, in plain float64 torch. Import from the files, not from here."""
