"""SeaweedFS: the S3 server of the bed."""

import json
import os
from contextlib import suppress

from . import packages
from .server import Server, get


class SeaweedFS(Server):
    name = "seaweedfs"
    # Its own orderly stop takes 15 s and changes nothing on disk.
    grace_secs = 0.5

    def port_names(self):
        http = ["s3", "s3-filer", "s3-master", "s3-volume"]
        return http + [f"{name}-grpc" for name in http]

    def install(self):
        self.weed = packages.program("seaweedfs")

    def prepare(self):
        identity = {
            "name": "longshore",
            "credentials": [
                {
                    "accessKey": self.bed.s3["access_key_id"],
                    "secretKey": self.bed.s3["secret_access_key"],
                }
            ],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        path = self.bed.file("s3.json")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            json.dump({"identities": [identity]}, f)

    def argv(self):
        port = self.bed.ports
        return [
            self.weed,
            "-logtostderr=true",
            "server",
            "-ip=127.0.0.1",
            f"-dir={self.data_dir}",
            f"-master.port={port['s3-master']}",
            f"-master.port.grpc={port['s3-master-grpc']}",
            # It elects itself at once. Otherwise the volume server may ask too early and wait 5 s more.
            "-master.peers=none",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            f"-volume.port={port['s3-volume']}",
            f"-volume.port.grpc={port['s3-volume-grpc']}",
            "-volume.max=200",
            "-volume.minFreeSpace=200MiB",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={port['s3-filer']}",
            f"-filer.port.grpc={port['s3-filer-grpc']}",
            # Relative to the data folder: a socket's path may be 107 bytes long only.
            "-filer.localSocket=filer.sock",
            "-s3",
            f"-s3.port={port['s3']}",
            f"-s3.port.grpc={port['s3-grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.localSocket=s3.sock",
            f"-s3.config={self.bed.file('s3.json')}",
        ]

    def env(self):
        # Two volumes a bucket are enough, and its limits keep it small.
        return {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "2", "GOMEMLIMIT": "512MiB"}

    def _master_status(self):
        answer = get(f"http://127.0.0.1:{self.bed.ports['s3-master']}/dir/status")
        return json.loads(answer[1]) if answer and answer[0] == 200 else {}

    def answers(self):
        if not get(self.bed.s3_endpoint):
            return False
        topology = self._master_status().get("Topology") or {}
        centers = topology.get("DataCenters") or []
        # Before the volume server has reported to the master, every write fails.
        return any(rack.get("DataNodes") for center in centers for rack in center.get("Racks") or [])

    def complete(self):
        """A bucket is a folder under /buckets; the S3 gateway sees it at once."""
        url = f"http://127.0.0.1:{self.bed.ports['s3-filer']}/buckets/{self.bed.s3['bucket']}/"
        for _ in range(50):
            answer = get(url, method="POST", timeout=10)
            if answer and (answer[0] < 300 or answer[0] == 409):  # 409: it exists
                return
        raise OSError(f"the bucket {self.bed.s3['bucket']} could not be created: {answer}")

    def clean_up(self):
        for part in ("master", "volume", "filer", "s3"):
            port = self.bed.ports.get("s3-grpc" if part == "s3" else f"s3-{part}-grpc")
            with suppress(FileNotFoundError):
                os.remove(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")
