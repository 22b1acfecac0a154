from odd import *  # noqa: F403
