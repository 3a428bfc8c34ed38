"""Caches that are never wrong: in the process, in Redis, and valid by generations that changes move on.

What is kept says what it was made of (`dependencies`). A change moves the generation of what changed
(`generations.invalidate`), and all that was made of it, in every process, counts no more from then on; even what is
being made at that moment. `levels` keeps and makes, once for all who wait; `pages` keeps whole pages for visitors
who aren't logged in, the tag `fragment` parts of pages, `values` counts and lists.
"""
