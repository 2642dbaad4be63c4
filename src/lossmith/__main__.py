"""The door of the command line: `lossmith`, and `python -m lossmith`.

The commands stand on packages that the library itself does not need. Without them a person reads
what to install, whichever command was asked for and however late the package is first imported.
"""

import sys

# What the extra `lab` brings, by the names it is imported under. A person's own file may miss a
# package of its own, which the extra would not bring.
BROUGHT = (
    *("PIL", "cleanlab", "click", "filelock", "jinja2", "joblib", "markupsafe", "matplotlib"),
    *("pandas", "pyarrow", "rich", "scipy", "sklearn", "statsmodels", "threadpoolctl"),
)


def main() -> None:
    """Run the command line, or say which packages it waits for."""
    try:
        from lossmith.lab.cli import main as command_line

        command_line()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in BROUGHT:
            raise
        sys.stderr.write(
            f"lossmith: the command line needs {missing}, which is not installed: "
            "pip install 'lossmith[lab]'\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
