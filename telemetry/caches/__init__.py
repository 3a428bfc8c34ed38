"""Django's caches: hits and misses, sets, durations, by cache and by the form of the key."""
