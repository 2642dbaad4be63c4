"""How long a test waits for another process before it calls that a hang.

Slowness is not what a limit is for: on two quiet cores the slowest of these processes takes about
a minute, and a machine five times slower, shared by five, is still right. What hangs, hangs for
ever; it is ended here with its own message, and otherwise by pytest's limit, which is longer.
"""

HANG = 1500  # seconds
