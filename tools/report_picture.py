"""The picture of the report in the README, made by these two commands.

    lossmith compare digits --label-noise 0.4 --output out/digits.html
    python tools/report_picture.py out/digits.html docs/report.png

It needs Chromium (or Chrome) in PATH, and Pillow, which matplotlib brings.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1200, 1850  # the first look, the verdict, the table, the first row of figures
COLOURS = 256
LARGEST = 200_000  # bytes


def main() -> None:
    """Photograph the head of the page and keep few colours."""
    page, picture = map(Path, sys.argv[1:])
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"none of {', '.join(names)} is in PATH")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        words = [browser, "--headless", "--disable-gpu", "--hide-scrollbars"]
        words += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={raw}", page.resolve().as_uri()]
        words += ["--no-sandbox"] * (os.geteuid() == 0)
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        few = Image.open(raw).convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, kmeans=1)
        few.save(picture, optimize=True)
    size = picture.stat().st_size
    print(f"{picture}: {size} bytes")
    if size > LARGEST:
        sys.exit(f"more than {LARGEST} bytes: fewer COLOURS")


if __name__ == "__main__":
    main()
