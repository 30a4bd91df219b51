"""Charts of which each device has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeml.reporting.document import Chart, Section
from edgeml.reporting.formatting import first
from edgeml.reporting.inputs import Device

__all__ = ["section_by_device"]

_MOST = 12


def section_by_device(
    key: str, title: str, devices: Sequence[Device], charts: Callable[[Device, int], Sequence[Chart]]
) -> Section | None:
    """A section with the first charts of all devices; None where no device has one.

    Args:
        key: Names the section in the page.
        title: Its heading.
        devices: All of them.
        charts: Makes those of a device, which has a number.
    """
    made = [chart for number, device in enumerate(devices) for chart in charts(device, number)]
    kept, left_out = first(made, _MOST)
    more = (f"{left_out} more charts are left out.",) if left_out else ()
    return Section(key, title, (*kept, *more)) if kept else None
