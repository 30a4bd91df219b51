"""Sections with separate charts for each device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeml.reporting.document import Chart, Section
from edgeml.reporting.formatting import truncate
from edgeml.reporting.inputs import Device

__all__ = ["section_by_device"]

_MAX_CHARTS = 12


def section_by_device(
    key: str, title: str, devices: Sequence[Device], charts: Callable[[Device, int], Sequence[Chart]]
) -> Section | None:
    """Return a section with the charts of all devices, up to a limit; None if no device has a chart.

    Args:
        key: Identifier of the section in the page.
        title: Heading of the section.
        devices: All devices.
        charts: Return the charts of a device; its index makes their keys unique.
    """
    all_charts = [chart for index, device in enumerate(devices) for chart in charts(device, index)]
    kept, omitted = truncate(all_charts, _MAX_CHARTS)
    more = (f"{omitted} more charts are left out.",) if omitted else ()
    return Section(key, title, (*kept, *more)) if kept else None
