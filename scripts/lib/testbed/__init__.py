"""The embedded test bed of Longshore. `scripts/testbed -h` is the way in; docs/testbed.md explains it."""
