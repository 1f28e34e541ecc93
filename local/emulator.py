"""Runs the emulator, as strict as AWS where our code depends on it, and with one repair: `python -m local.emulator`.

When MiniStack 1.5.33 updates a nested stack, resources of it that do not change lose their attributes, and every
`Fn::GetAtt` on them fails from then on. Stacks that are not nested keep them. Here nested ones do, too.
"""

from __future__ import annotations

import sys
from typing import Any

from ministack import app
from ministack.services import cloudformation
from ministack.services.cloudformation import provisioners

from local import permissions, rules

update = provisioners._update_resource


def update_keeping_attributes(
    kind: str, physical_id: str, old: Any, new: Any, stack: str, name: str | None = None, attributes: Any = None
) -> tuple[str, dict[str, Any]]:
    """Updates a resource. Attributes that are not given are those that the stack has of it."""
    if attributes is None:
        held = cloudformation._stacks.get(stack, {}).get("_resources", {}).get(name, {})
        attributes = held.get("Attributes")
    return update(kind, physical_id, old, new, stack, name, attributes)


if __name__ == "__main__":
    provisioners._update_resource = update_keeping_attributes
    permissions.install()
    rules.install()
    sys.exit(app.main())
