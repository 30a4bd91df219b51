"""A third party's engine that cannot be imported."""

raise RuntimeError("libbroken.so.7 is not there")
