"""Taking events away: as a stream, as files, in the forms that others read."""
