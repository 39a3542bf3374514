"""The two programs: those that are there, or built now."""

import os
import shlex
import shutil
import time
from pathlib import Path

from .words import ROOT, Failed, chapter, run, seconds, tell

# Of cargo: compiles much faster than a release build.
PROFILE = "try"


def target_directory():
    """Where cargo puts binaries."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def programs(folder):
    return [folder / "longshore", folder / "longshore-worker"]


def is_fresh(binaries):
    """Were all binaries built after the last change of what they are made of?"""
    if not all(binary.exists() for binary in binaries):
        return False
    built = min(binary.stat().st_mtime for binary in binaries)
    sources = [ROOT / "Cargo.toml", ROOT / "Cargo.lock"]
    for folder in ("shared", "coordinator", "worker", "sql"):
        sources += (path for path in (ROOT / folder).rglob("*") if path.suffix in {".rs", ".sql", ".toml"})
    return all(path.stat().st_mtime <= built for path in sources)


def compiler():
    """Debian without a C compiler and linker cannot build Rust programs."""
    if shutil.which("cargo") is None:
        raise Failed("cargo is missing: install Rust with rustup (rust-toolchain.toml names the version).")
    if shutil.which("cc"):
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Failed(f"a C compiler is missing; as root: {shlex.join(install)}")
    run(["apt-get", "update", "-qq"])
    run(install)


def build():
    chapter(1, "Two programs")
    # Programs that are built for production are taken as they are.
    folders = [target_directory() / profile for profile in ("release", PROFILE)]
    binaries = next((folder for folder in folders if is_fresh(programs(folder))), None)
    if binaries:
        tell("`longshore` plans and watches, `longshore-worker` loads. Both are built already.")
    else:
        tell("`longshore` plans and watches, `longshore-worker` loads. The first build takes some minutes.")
        began = time.monotonic()
        compiler()
        run(["cargo", "build", "--profile", PROFILE, "--locked", "--quiet", "--package", "longshore", "--package", "longshore-worker"])
        tell(f"Built in {seconds(began)}, for a first look; `cargo build --release` makes those for production.")
        binaries = target_directory() / PROFILE
    os.environ["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return binaries
