"""Devices of Vulkan on this machine."""

from __future__ import annotations

import ctypes
from typing import ClassVar

__all__ = ["vulkan_devices"]


class _InstanceInfo(ctypes.Structure):
    """VkInstanceCreateInfo of the Vulkan specification."""

    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    ]


def vulkan_devices() -> int:
    """Return the number of Vulkan devices.

    Raises:
        OSError: The loader is not installed.
    """
    vulkan = ctypes.CDLL("libvulkan.so.1")
    instance, count = ctypes.c_void_p(), ctypes.c_uint32()
    if vulkan.vkCreateInstance(ctypes.byref(_InstanceInfo(type=1)), None, ctypes.byref(instance)):
        return 0  # no driver
    try:
        vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    finally:
        vulkan.vkDestroyInstance(instance, None)
    return count.value
