"""Cases for the fuzzer's own tests: most are right, some kill their process or never end."""

import os
import signal
import time


def draw(random):
    return random.choice(("right", "right", "wrong", "killed", "hangs"))


def judge(case):
    if case == "killed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == "hangs":
        time.sleep(3600)
    return "wrong on purpose" if case == "wrong" else None
