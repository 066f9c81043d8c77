"""How generated files look."""

from typing import Any

import yaml

NOTICE = "Generated from observability/src/dstk_observability: change it there and run `make generate`."


def as_yaml(content: object, note: str = "") -> str:
    """A file of YAML. `note`: further comment lines, each with its `#`."""
    text: Any = yaml.safe_dump(content, sort_keys=False, width=2000, allow_unicode=True)
    return f"# {NOTICE}\n{note}{text}"
