"""What the bed asks of every server: ports, files, a command line, and whether it is ready."""

import http.client
import urllib.error
import urllib.request

PROBE_SECS = 2


class Server:
    name = ""
    ready_secs = 60
    grace_secs = 5

    def __init__(self, bed):
        self.bed = bed

    @property
    def data_dir(self):
        return self.bed.file(self.name)

    @property
    def port(self):
        """The port its users talk to."""
        return self.bed.ports.get(self.port_names()[0])

    def port_names(self):
        """The ports on which it listens whenever it is ready."""
        raise NotImplementedError

    def idle_port_names(self):
        """Further ports, on which it listens at times."""
        return []

    def all_port_names(self):
        return self.port_names() + self.idle_port_names()

    def install(self):
        """Get the programs; called before anything is started."""

    def prepare(self):
        """Write config files; called before each start."""

    def argv(self):
        raise NotImplementedError

    def env(self):
        return {}

    def answers(self):
        """Whether it does its work (its ports are open already)."""
        raise NotImplementedError

    def complete(self):
        """Set up what its users expect, once it answers. Runs at every start."""

    def refers_to(self, other):
        """Whether a port of the other one stands in the config of this one."""
        return False

    def starts_after(self, other):
        """Whether the other one has to answer before this one is started."""
        return False

    def facts(self):
        """What `status --json` says of it beside the process."""
        return {}

    def clean_up(self):
        """Remove what a killed process leaves outside the bed's folder."""


def get(url, method="GET", timeout=PROBE_SECS):
    """(status, body), or None when nobody answers."""
    request = urllib.request.Request(url, method=method)
    # No proxy from the environment: these are loopback addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, http.client.HTTPException):
        return None
