"""How our commands show their help: with examples, as they are written."""

from django.core.management.base import CommandParser, DjangoHelpFormatter


class Formatter(DjangoHelpFormatter):
    """Keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text


def show_examples(parser: CommandParser, examples: str) -> None:
    """Put `examples` at the end of the command's help."""
    parser.formatter_class = Formatter
    parser.epilog = examples
