-- Everything that was written on the machine of this server before is on its disks when this answers: sync(2).
SYSTEM SYNC FILE CACHE
