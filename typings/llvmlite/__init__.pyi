"""The part of llvmlite that the compiler uses; the package itself has no types."""

__version__: str
