"""Get what a bed is made of: Debian packages, and pinned archives from npm and PyPI.

Archives are kept in the cache folder, checked against downloads.lock.json before they are unpacked,
and unpacked once into a folder that appears by rename: it is there whole, or it is not there.
"""

import glob
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from . import ports
from .report import BedError, say, timed, warn

LOCK_FILE = os.path.join(os.path.dirname(__file__), "downloads.lock.json")
DOWNLOAD_TRIES = 3
ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.abspath(os.environ.get("LONGSHORE_CACHE") or os.path.join(base, "longshore"))


# --- Debian packages ---------------------------------------------------------------------------


def _run(argv, what, cwd=None, env=None):
    """Run an installer; its output is shown only when it fails."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-12:])
        raise BedError(f"{what} failed (exit code {done.returncode}):\n{last}")
    return done.stdout


def install_debian(names):
    if not names:
        return
    command = "apt-get install --no-install-recommends " + " ".join(names)
    if not shutil.which("apt-get"):
        raise BedError(f"missing: {', '.join(names)} (Debian package names); install them and start again")
    if os.getuid() != 0:
        raise BedError(f"missing packages and not root; run this as root, then start again:\n    {command}")
    with ports.locked(os.path.join(ports.shared_dir(), "apt.lock")), timed(f"installed {' '.join(names)}"):
        # The JRE's install script needs this folder, which slim images leave out.
        os.makedirs("/usr/share/man/man1", exist_ok=True)
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        _run(["apt-get", *wait, "update"], "apt-get update", env=env)
        _run(["apt-get", *wait, "install", "-y", "--no-install-recommends", *names], command, env=env)


def program_of_debian(name, package):
    """Path of a program; installs the package when it is missing."""
    # Daemons are in /usr/sbin, which users do not have on their PATH.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if not shutil.which(name, path=path):
        install_debian([package])
    found = shutil.which(name, path=path)
    if not found:
        raise BedError(f"{name} is still missing after the installation of {package}")
    return found


def java_and_zookeeper():
    """The java program to run ZooKeeper with; installs what is missing."""
    missing = []
    # The library package holds the whole server; the `zookeeper` package adds only a system service.
    if not os.path.exists(ZOOKEEPER_JAR):
        missing.append("libzookeeper-java")
    if not shutil.which("java"):
        missing.append("default-jre-headless")
    install_debian(missing)
    java = shutil.which("java")
    if not java or not os.path.exists(ZOOKEEPER_JAR):
        raise BedError(f"java or {ZOOKEEPER_JAR} is still missing after the installation")
    return java


# --- archives from npm and PyPI ----------------------------------------------------------------


def _fetch_npm(item, into):
    if not shutil.which("npm"):
        install_debian(["npm"])
    _run(["npm", "pack", "--silent", f"{item['package']}@{item['version']}"], "npm pack", cwd=into)


def _python_with_pip():
    for python in (sys.executable, shutil.which("python3"), "/usr/bin/python3"):
        if python and os.path.exists(python):
            probe = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
            if probe.returncode == 0:
                return python
    return None


def _fetch_pypi(item, into):
    python = _python_with_pip()
    if not python:
        install_debian(["python3-pip"])
        python = "/usr/bin/python3"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    wanted = f"{item['package']}=={item['version']}"
    # Not every archive is made for the Python of this machine; nothing imports it here.
    made_for = ["--python-version", item["python"], "--platform", item["platform"]] if "python" in item else []
    _run([*pip, "--no-deps", "--only-binary=:all:", *made_for, "-d", into, wanted], "pip download", cwd=into)


_FETCH = {"npm": _fetch_npm, "pypi": _fetch_pypi}


def _fault(path, item):
    """Why the archive at `path` is not the pinned one, or None."""
    if os.path.getsize(path) != item["size"]:
        return f"{os.path.getsize(path)} bytes instead of {item['size']}"
    name = "sha512" if "sha512" in item else "sha256"
    digest = hashlib.new(name)
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return None if digest.hexdigest() == item[name] else f"its {name} differs from the lock file"


def _archive(name, item, downloads):
    """Path of the verified archive; a broken one is deleted and fetched again."""
    path = os.path.join(downloads, item["file"])
    fault = "not downloaded yet"
    for attempt in range(DOWNLOAD_TRIES + 1):
        if os.path.exists(path):
            fault = _fault(path, item)
            if not fault:
                return path
            warn(f"the download of {name} is broken ({fault}); deleted")
            os.remove(path)
        if attempt == DOWNLOAD_TRIES:
            break
        into = tempfile.mkdtemp(prefix="fetch-", dir=downloads)
        try:
            label = f"{item['package']} {item['version']} ({item['size'] >> 20} MiB)"
            with timed(f"downloaded {label}"):
                _FETCH[item["registry"]](item, into)
            got = glob.glob(os.path.join(glob.escape(into), "*"))
            if len(got) == 1:
                os.replace(got[0], path)
            else:
                fault = f"the client left {len(got)} files"
        except BedError as error:
            fault = str(error)
            warn(f"download {attempt + 1} of {DOWNLOAD_TRIES} of {name}: {error}")
        finally:
            shutil.rmtree(into, ignore_errors=True)
    raise BedError(f"could not download {name} in {DOWNLOAD_TRIES} tries: {fault}")


def _extract(archive, item, into):
    """Write the members we need to `into`, whichever archive they come in."""
    for member in item["members"]:
        target = os.path.join(into, member["unpacked"])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            if archive.endswith(".tgz"):
                with tarfile.open(archive) as tar, open(target, "wb") as out:
                    shutil.copyfileobj(tar.extractfile(member["member"]), out, 1 << 20)
            else:
                with zipfile.ZipFile(archive) as whl, whl.open(member["member"]) as src, open(target, "wb") as out:
                    shutil.copyfileobj(src, out, 1 << 20)
        except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise BedError(f"cannot unpack {archive}: {error}") from error
        os.chmod(target, 0o755)
        size = os.path.getsize(target)
        if size != member["size"]:
            raise BedError(f"{member['unpacked']} has {size} bytes after unpacking, not {member['size']}")


def _is_whole(home, item):
    """The folder appears by rename, so sizes are enough to know that these are the verified files."""
    paths = [(os.path.join(home, member["unpacked"]), member["size"]) for member in item["members"]]
    return all(os.path.exists(path) and os.path.getsize(path) == size for path, size in paths)


def program(name):
    """Path of the first file of an unpacked, complete archive of the lock file."""
    with open(LOCK_FILE, encoding="utf-8") as f:
        item = json.load(f)[name]
    if platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux":
        raise BedError(f"the pinned {item['package']} runs on x86-64 Linux only, this is {platform.platform()}")
    cache = cache_dir()
    home = os.path.join(cache, f"{name}-{item['version']}")
    ready = os.path.join(home, item["members"][0]["unpacked"])
    if _is_whole(home, item):
        return ready
    downloads = os.path.join(cache, "downloads")
    os.makedirs(downloads, exist_ok=True)
    with ports.locked(os.path.join(cache, f"{name}.lock")):
        if _is_whole(home, item):
            return ready  # another bed did it while this one waited
        if os.path.exists(home):
            warn(f"the unpacked {name} is damaged; unpacking it again")
            shutil.rmtree(home)
        archive = _archive(name, item, downloads)
        with timed(f"unpacked {name} {item['version']}"):
            into = tempfile.mkdtemp(prefix=f"unpack-{name}-", dir=cache)
            try:
                _extract(archive, item, into)
                os.chmod(into, 0o755)
                os.rename(into, home)
            except BaseException:
                shutil.rmtree(into, ignore_errors=True)
                raise
    say(f"{name} is in {home}")
    return ready
