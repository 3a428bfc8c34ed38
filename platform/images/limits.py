"""What is accepted as a picture: what a browser shows at once, and a worker decodes in its time and memory."""

IMAGE_BYTES = 10_000_000
# Of all frames together: so many are unpacked at four bytes each.
IMAGE_PIXELS = 50_000_000
IMAGE_SIDE = 16_000  # WebP can't hold more than 16,383
IMAGE_FRAMES = 1_000
# Format as Pillow names it → the suffix under which the file is stored.
IMAGE_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif"}
# Suffix of an upload's name → the format that it promises.
SUFFIX_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP", ".gif": "GIF"}

# So many of one person's may be on their way at once: nobody fills the queue for all others.
UNFINISHED_PICTURES = 50

# How wide thumbnails are, unless the picture is narrower.
THUMBNAIL_WIDTHS = (320, 640, 1280)

NAME_CHARACTERS = 200
ALT_CHARACTERS = 500
MESSAGE_CHARACTERS = 500
PICTURES_PER_PAGE = 24
