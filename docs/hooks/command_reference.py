"""The command reference: every command of `study`, from the application itself."""

import re

import typer

from flows.commands.main import app


def option_text(parameter: object) -> str:
    """One argument or option: how it is written, what it means, its default."""
    given = vars(parameter)
    names = [*given["opts"], *given["secondary_opts"]]
    if given.get("is_bool_flag"):
        written = ", ".join(names)
    elif names[0].startswith("-"):
        written = f"{names[0]} {given['metavar'] or given['name'].upper()}"
    else:
        written = names[0].upper()
    default, is_flag = given["default"], given.get("is_bool_flag")
    has_default = default not in (None, False, ()) and not is_flag
    ends = [f"Default: `{default}`."] if has_default else []
    ends += ["Required."] if given["required"] else []
    lowest, highest = given.get("min"), given.get("max")
    if lowest is not None:
        ends.append(f"At least {lowest:,}." if highest is None else f"{lowest:,} to {highest:,}.")
    return f"- `{written}`: {' '.join([given['help'] or '', *ends])}"


def command_text(name: str, command: object) -> str:
    """The section of one command."""
    parameters = command.params
    usage = ["study", name]
    usage += ["[OPTIONS]"] if any(one.opts[0].startswith("-") for one in parameters) else []
    for one in parameters:
        if not one.opts[0].startswith("-"):
            usage.append(one.name.upper() if one.required else f"[{one.name.upper()}]")
    example = re.sub(r"\\\[", "[", (command.epilog or "").removeprefix("Example: "))
    text = [f"## study {name}", "", command.help or "", "", "```", " ".join(usage), "```", ""]
    text += [option_text(one) for one in parameters if not one.hidden]
    return "\n".join([*text, "", "Example:", "", "```", example, "```", ""])


def commands_page() -> str:
    """Every command in the order of `study --help`."""
    commands = typer.main.get_command(app).commands
    return "\n".join(command_text(name, command) for name, command in commands.items())
