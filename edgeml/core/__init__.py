"""Values, errors and protocols that all of edgeml shares, without imports of its other packages."""
