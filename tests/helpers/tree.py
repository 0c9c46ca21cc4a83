"""The modules of the project, as files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("xbarsim", "accel_models", "networks")


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def project_modules():
    """Path of every module, by its name."""
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {module_name(path): path for path in paths}
