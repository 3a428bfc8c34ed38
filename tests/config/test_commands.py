"""What all of our commands have in common."""

import pytest
from django.core.management import get_commands, load_command_class

from tests.config.test_architecture import PROJECT

# `up` only starts processes, and `migrate` is Django's own.
WITHOUT_OUTPUT = {"up", "migrate"}


def own_commands() -> dict[str, str]:
    packages = {"audit", "telemetry", *(folder.name for folder in (PROJECT / "platform").iterdir())}
    return {name: str(app) for name, app in get_commands().items() if app in packages}


@pytest.mark.parametrize("name", sorted(own_commands().keys() - {"migrate"}))
def test_the_help_of_a_command_has_examples_as_they_are_written(name: str) -> None:
    text = load_command_class(own_commands()[name], name).create_parser("manage", name).format_help()
    _, _, examples = text.partition("\nexamples:\n")
    lines = [line for line in examples.splitlines() if f"manage {name}" in line]
    assert lines, text
    assert all(line.startswith("  ") for line in lines)


@pytest.mark.parametrize("name", sorted(own_commands().keys() - WITHOUT_OUTPUT))
def test_a_command_that_tells_something_tells_it_to_programs_too(name: str) -> None:
    parser = load_command_class(own_commands()[name], name).create_parser("manage", name)
    (form,) = (action for action in parser._actions if "--format" in action.option_strings)
    assert "json" in (form.choices or ())
