"""The command line, with one file for each command.

Imports everything; nothing imports it. On Windows importing it ends the process with one line:
the imports of the commands would fail there, with errors that do not say why.
"""

import sys

if sys.platform == "win32":
    print(
        "study: latent-study runs on Linux and macOS; on Windows use WSL2: run `wsl --install`, "
        "then install and start it in there",
        file=sys.stderr,
    )
    sys.exit(2)
