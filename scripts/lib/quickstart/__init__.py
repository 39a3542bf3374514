"""From nothing to a verified load, told in chapters."""
