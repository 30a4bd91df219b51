from tests.support.small_package import small_package, small_package_file

__all__ = ["small_package", "small_package_file"]
