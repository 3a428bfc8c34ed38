"""Is it an image, and may it be shown with a post? What `images` says, at the field of the blog's forms."""

from blog.errors import InvalidError
from images import checking
from images.checking import CheckedImage, checksum_of
from images.errors import RefusedError

__all__ = ["CheckedImage", "check_image", "checksum_of"]


def check_image(data: bytes) -> CheckedImage:
    """Return `data` as an image to store.

    Raises:
        InvalidError: on the field `image`; it's too large, of another format, or broken.
    """
    try:
        return checking.check_image(data)
    except RefusedError as error:
        raise InvalidError(image=str(error)) from error
