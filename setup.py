"""Packaging: `pip install -e .` gives the `dmdnet` command. Requirements are read from requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements() -> list[str]:
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def version() -> str:
    text = (HERE / "dmdnet" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "([^"]+)"', text).group(1)


setup(
    name="dmdnet",
    version=version(),
    description="Reference-based face restoration: train, evaluate and run DMDNet from one YAML file",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["dmdnet", "dmdnet.*"]),
    package_data={
        "dmdnet.evaluation.published": ["*.yml", "data/*.yml"],
        "dmdnet.html": ["page.css", "page.js"],
    },
    python_requires=">=3.10",
    install_requires=requirements(),
    entry_points={"console_scripts": ["dmdnet=dmdnet.cli.main:main"]},
)
