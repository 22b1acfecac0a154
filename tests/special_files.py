"""What may lie in the place of a file that others can write."""

import os


def replace_file(path, kind, elsewhere):
    """Put a pipe, device, folder, link or huge file there; a link leads to a copy ``elsewhere``."""
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        assert kind == "huge"
        path.write_bytes(content)
        os.truncate(path, 10 << 30)
