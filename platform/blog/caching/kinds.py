"""What the blog's pages are made of, as `caching.dependencies` names it."""

# One post with all that its page shows: text, authors' names, images, comments and their authors' names.
POST = "blog.post"
# Which posts are published, and in which order.
POSTS = "blog.posts"
# Which of them stand in which category, have which tags, and are by whom.
SHELVES = "blog.shelves"
CATEGORY = "blog.category"
TAG = "blog.tag"
