"""`lossmith matrix`: every option in every combination, against a plain definition."""
