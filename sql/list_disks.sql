-- Room on each disk that the server knows.
SELECT name, path, unreserved_space AS free, total_space AS total FROM system.disks ORDER BY name
