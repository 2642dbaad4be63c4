"""`lossmith support`: every loss in every mode of PyTorch, each cell measured."""
