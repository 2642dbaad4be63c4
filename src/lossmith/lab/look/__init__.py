"""`lossmith list`, `properties` and `show`: what there is, and what holds for it."""
