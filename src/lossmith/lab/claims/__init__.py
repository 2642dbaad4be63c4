"""What the articles say about losses, each claim tried on real data."""
