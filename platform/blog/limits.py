"""What the blog accepts: sizes that keep a page readable and a render cheap. In one place, so that forms, API and
import agree."""

TITLE_CHARACTERS = 200
SLUG_CHARACTERS = 120
DESCRIPTION_CHARACTERS = 500
EXCERPT_CHARACTERS = 280
CATEGORY_CHARACTERS = 80
TAG_CHARACTERS = 50
TAGS_OF_A_POST = 20
PATH_CHARACTERS = 500
BODY_BYTES = 500_000
COMMENT_BYTES = 10_000
NOTE_CHARACTERS = 2_000
REVIEWERS_TOLD = 50
SCHEDULE_DAYS = 3_660

IMAGE_BYTES = 10_000_000
IMAGE_PIXELS = 50_000_000
# Format as Pillow names it → the suffix under which the file is stored.
IMAGE_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif"}

POSTS_PER_PAGE = 20
COMMENTS_PER_PAGE = 50
