"""The API of the blog: the same actions and rules as the pages."""
