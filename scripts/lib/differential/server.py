"""The bed: its server over one connection a thread, and its object store."""

import datetime
import hashlib
import hmac
import http.client
import os
import shlex
import socket
import subprocess
import threading
import time
import urllib.parse
from contextlib import contextmanager

from .paths import TESTBED

SECONDS_MAX = 60
ALWAYS = {
    "user": "default", "wait_end_of_query": 1, "allow_suspicious_low_cardinality_types": 1, "enable_time_time64_type": 1,
    "schema_inference_use_cache_for_s3": 0, "s3_truncate_on_insert": 1,
}


class Refused(Exception):
    """The server answered with an error."""


class Broken(Exception):
    """The run itself is worth nothing: no bed, no programs."""


class Died(Exception):
    """The server died at or before this statement: the engine has bugs of its own."""


_own = threading.local()


def _connection(name, address):
    found = getattr(_own, name, None)
    if found is None:
        host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
        found = http.client.HTTPConnection(host, int(port), timeout=SECONDS_MAX)
        setattr(_own, name, found)
    return found


def _send(name, address, method, path, body=b"", headers=None):
    for last in (False, True):
        connection = _connection(name, address)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, OSError) as problem:
            connection.close()
            setattr(_own, name, None)
            if last or isinstance(problem, socket.timeout):
                raise Broken(f"{address} does not answer: {problem!r}") from None
    raise AssertionError


def ask(statement, body=b"", **settings):
    """The answer of a statement as bytes. `body`: rows of an INSERT."""
    options = {**ALWAYS, **settings}
    if body:
        options["query"] = statement
    path = "/?" + urllib.parse.urlencode(options)
    try:
        status, answer = _send("clickhouse", os.environ["CLICKHOUSE_URL"], "POST", path, body or statement.encode("utf-8", "surrogateescape"))
    except Broken:
        raise Died(statement) from None
    if status != 200:
        told = answer.decode("utf-8", "replace").strip()
        if "shutting down due to a fatal error" in told:
            raise Died(statement)
        raise Refused(told)
    return answer


def revive(folder):
    """Starts the server of the bed again where it does not answer."""
    try:
        ask("SELECT 1")
    except Died:
        time.sleep(2)  # a server that dies writes its last words first
        done = subprocess.run([TESTBED, "restart", "clickhouse-1", "--dir", folder], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"the server died and did not start again: {done.stdout}{done.stderr}") from None


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name(text):
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def s3(key, form, structure="", compression="auto"):
    """The table function for keys of the bed's bucket."""
    parts = [os.environ["S3_COLLECTION"], f"filename = {literal(key)}", f"format = {literal(form)}", f"compression_method = {literal(compression)}"]
    if structure:
        parts.append(f"structure = {literal(structure)}")
    return f"s3({', '.join(parts)})"


def put(key, content):
    """Writes an object; an object of no bytes too, which the server's own INSERT would leave out."""
    _object("PUT", key, content)


def remove(prefix):
    """Deletes all objects of a prefix."""
    rows = ask(f"SELECT DISTINCT _path FROM {s3(prefix + '/**', 'One')} FORMAT TabSeparatedRaw", s3_throw_on_zero_files_match=0, s3_skip_empty_files=0)
    for path in rows.decode().splitlines():
        _object("DELETE", path.partition("/")[2])


def _object(method, key, content=b""):
    """One request in the store's own protocol, signed as version 4 asks."""
    endpoint = os.environ["S3_ENDPOINT"]
    host = endpoint.removeprefix("http://").rstrip("/")
    path = urllib.parse.quote(f"/{os.environ['S3_BUCKET']}/{key}", safe="/-_.~")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    signed = "host;x-amz-content-sha256;x-amz-date"
    request = f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n{signed}\n{digest}"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    secret = f"AWS4{os.environ['S3_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Host": host, "x-amz-content-sha256": digest, "x-amz-date": now, "Content-Length": str(len(content)),
        "Authorization": f"AWS4-HMAC-SHA256 Credential={os.environ['S3_ACCESS_KEY_ID']}/{scope}, SignedHeaders={signed}, Signature={signature}",
    }
    status, answer = _send("store", endpoint, method, path, content, headers)
    if status not in (200, 204):
        raise Broken(f"the object store answered {status} to {method} {key}: {answer[:300]!r}")


@contextmanager
def bed(folder, own):
    """Uses the bed in `folder`. `own`: starts it before and wipes it afterwards."""
    try:
        if own:
            subprocess.run([TESTBED, "start", "--quiet", "--dir", folder], check=True, stdin=subprocess.DEVNULL)
        told = subprocess.run([TESTBED, "env", "--dir", folder], check=False, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        if told.returncode != 0:
            raise Broken(f"there is no running bed in {folder}: scripts/testbed start --dir {folder}")
        for line in told.stdout.splitlines():
            variable, value = shlex.split(line.removeprefix("export "))[0].split("=", 1)
            os.environ[variable] = value
        for variable in ["CLICKHOUSE_PASSWORD_FILE", "LONGSHORE_CONFIG", "LONGSHORE_DATABASE", "LONGSHORE_STAGING_DATABASE"]:
            os.environ.pop(variable, None)
        yield
    finally:
        if own:
            subprocess.run([TESTBED, "wipe", "--quiet", "--dir", folder], check=False, stdin=subprocess.DEVNULL)
