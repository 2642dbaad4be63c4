"""`lossmith bench`: how fast each loss is, side by side with what there is otherwise."""
