"""Charts of which each device has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeml.report.document import Chart, Section
from edgeml.report.reading import Device
from edgeml.report.words import first

__all__ = ["section_by_device"]

_MOST = 6


def section_by_device(
    key: str, title: str, devices: Sequence[Device], chart: Callable[[Device, int], Chart | None]
) -> Section | None:
    """A section with the charts of the first devices; None where no device has one.

    Args:
        key: Names the section in the page.
        title: Its heading.
        devices: All of them.
        chart: Makes that of a device, which has a number; None where it measured nothing of the kind.
    """
    charts = [one for number, device in enumerate(devices) if (one := chart(device, number)) is not None]
    kept, left_out = first(charts, _MOST)
    more = (f"{left_out} more devices are left out.",) if left_out else ()
    return Section(key, title, (*kept, *more)) if kept else None
