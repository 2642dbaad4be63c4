"""`lossmith compare`: the same network under several losses, and an honest table."""
