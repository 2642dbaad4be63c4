"""`lossmith accuracy`: every formula against 60-digit arithmetic."""
