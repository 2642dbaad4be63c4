"""What every page of the laboratory shares: layout, style, sorting and drawings."""
