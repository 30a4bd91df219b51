"""Tables of sources, converters and engines, and the targets that engines run on."""
