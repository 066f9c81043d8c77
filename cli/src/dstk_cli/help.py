"""How help texts are laid out."""


def examples(text: str) -> str:
    """Makes the epilog of a command of the lines of its examples. Rich joins lines that have no blank line between them."""
    return paragraphs(f"[bold]Examples[/]\n{text}")


def paragraphs(text: str) -> str:
    """Makes a paragraph of each line."""
    return "\n" + "\n\n".join(filter(str.strip, text.splitlines()))
