"""What `images` refuses, the blog refuses at the field of its forms."""

import pytest

from blog.errors import InvalidError
from blog.images import check_image
from tests.blog.conftest import picture


def test_an_image_is_accepted_with_its_size_and_suffix() -> None:
    image = check_image(picture("JPEG"))
    assert (image.width, image.height, image.suffix) == (40, 20, ".jpg")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GIF89a", "none of PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG"),
        (picture("PNG", (400, 400))[:-60], "broken"),
    ],
)
def test_what_is_no_whole_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        check_image(data)
    assert set(caught.value.messages) == {"image"}
