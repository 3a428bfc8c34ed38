"""How long a search takes in a large blog, and how many posts an import or export writes a second.

A PostgreSQL of its own is migrated, filled by `manage seed_data`, and asked for words of its own posts: rare and common
ones, pairs, phrases, `or`, `-without`, and what isn't there. Then a folder of made-up posts, each with an image, is
imported into it, once anew and once again, and all of it exported. The goals: 95 of 100 searches within 30 ms at
100,000 posts, and 200 imported posts a second. Seconds of the processor (of an import: of the processes that help as
well) stand beside those of the clock, which say little on a machine that is busy otherwise.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
# Before this folder, whose audit.py is no package.
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

from config.embedded import postgres
from config.processes import Program, run_to_end, stop_all

EXAMPLES = """
examples:
  python tests/benchmarks/reading.py
  python tests/benchmarks/reading.py --posts 5000 --documents 500 --format json
"""
GOAL_P95_MS, GOAL_IMPORTED_A_SECOND = 30, 200
_SEARCHES = 300


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=100_000, help="to search in; 100,000 by default")
    parser.add_argument("--documents", type=int, default=10_000, help="to import; 10,000 by default")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glasshouse-reading-") as folder:
        local_dir = Path(folder)
        os.environ |= {"LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings.development"}
        server = postgres.start(local_dir)
        try:
            manage("migrate", "--database", "owner", "--verbosity", "0")
            manage("seed_data", "--posts", str(options.posts), "--format", "json")
            with postgres.connect(local_dir) as superuser:
                superuser.execute("VACUUM ANALYZE")  # autovacuum's work, not left to chance
            figures = measure(local_dir, options.documents)
        finally:
            stop_all([server])
    figures["load_of_the_machine"] = [round(load, 1) for load in os.getloadavg()]
    print(json.dumps(figures, indent=1) if options.format == "json" else as_text(figures))


def manage(*arguments: str) -> None:
    """Run a management command."""
    command = [sys.executable, str(PROJECT / "platform" / "manage.py"), *arguments]
    done = run_to_end(Program(arguments[0], command, PROJECT, dict(os.environ)))
    if done.exit_code:
        raise SystemExit(f"{arguments[0]} failed.\n" + "\n".join(done.last_lines))


def measure(local_dir: Path, documents: int) -> dict[str, Any]:
    """Return all figures."""
    import django

    django.setup()
    from django.db import connection

    from blog.exporting.run import export_posts
    from blog.importing.run import import_directory
    from blog.search.queries import search

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    figures: dict[str, Any] = {"search": searches(search, backend)}
    source = local_dir / "source"
    write_documents(source, documents)
    for name, work in (
        ("import", lambda: import_directory(source)),
        ("import again", lambda: import_directory(source)),
        ("export", lambda: export_posts(local_dir / "exported")),
    ):
        figures[name] = timed(work, backend)
    return figures


def searches(search: Callable[[str], Any], backend: int) -> dict[str, Any]:
    """Ask for many different words, and return how long that took."""
    asked = questions()
    for words in asked[:20]:
        search(words)  # warms up
    taken, used, server, found = [], [], [], 0
    for words in asked:
        begun, mine, before = time.perf_counter(), time.process_time(), scheduled_seconds(backend)
        found += bool(search(words).hits)
        taken.append((time.perf_counter() - begun) * 1_000)
        server.append((scheduled_seconds(backend) - before) * 1_000)
        used.append((time.process_time() - mine) * 1_000 + server[-1])
    return {
        "asked": len(asked),
        "found": found,
        **{f"p{share}_ms": quantile(taken, share) for share in (50, 95, 99)},
        **{f"p{share}_processor_ms": quantile(used, share) for share in (50, 95, 99)},
        "p95_server_processor_ms": quantile(server, 95),
    }


def quantile(values: list[float], share: int) -> float:
    """Return what `share` of 100 values are below."""
    return round(sorted(values)[len(values) * share // 100], 1)


def questions() -> list[str]:
    """Return what people would ask, made of words that posts have, the same at each run."""
    from blog.models import Post

    chance = random.Random(1)
    texts = list(Post.objects.order_by("id").values_list("body_markdown", flat=True)[:2_000:7])
    words = sorted({word for text in texts for word in text.lower().split() if word.isalpha() and len(word) > 3})
    forms = ("{0}", "{0} {1}", "{0} or {1}", "{0} -{1}", "{0} {1} {2}", '"{3} {4}"', "{0} nowhere{2}")

    def question() -> str:
        said = chance.choice(texts).split()
        first = chance.randrange(len(said) - 1)
        return chance.choice(forms).format(*chance.sample(words, 3), said[first], said[first + 1])

    return [question() for _ in range(_SEARCHES)]


def write_documents(folder: Path, count: int) -> None:
    """Write posts with front matter and an image each."""
    from PIL import Image

    from blog.models import Post

    chance = random.Random(1)
    texts = list(Post.objects.order_by("id").values_list("body_markdown", flat=True)[:500])
    for number in range(count):
        post = folder / f"post-{number}"
        post.mkdir(parents=True)
        picture = BytesIO()
        Image.new("RGB", (320, 200), (chance.randrange(256), number % 256, 90)).save(picture, "PNG")
        (post / "chart.png").write_bytes(picture.getvalue())
        front = [f"title: Imported {number}", f"date: 20{number % 20 + 10}-03-{number % 28 + 1:02}"]
        front += [f"authors: [Author {number % 50}]", f"tags: [t{number % 40}, u{number % 7}]"]
        front += [f"category: C{number % 9}", f"aliases: [old/{number}.html]"]
        text = f"![A chart](chart.png)\n\n{texts[number % len(texts)]}"
        (post / "index.md").write_text("\n".join(["---", *front, "---", text, ""]))


def timed(work: Callable[[], Any], backend: int) -> dict[str, Any]:
    """Do it; return what it says of itself, and how long it took."""
    server, mine, begun = processor_seconds(backend), own_seconds(), time.perf_counter()
    told = work()
    seconds = time.perf_counter() - begun
    count = getattr(told, "imported", 0) or getattr(told, "posts", 0)
    if getattr(told, "failed", None):
        raise SystemExit(f"{told.failed[0]}")
    return {
        "posts": count,
        "seconds": round(seconds, 1),
        "posts_a_second": round(count / seconds),
        "processor_ms_a_post": round((own_seconds() - mine) / count * 1_000, 2),
        "server_processor_ms_a_post": round((processor_seconds(backend) - server) / count * 1_000, 2),
    }


def own_seconds() -> float:
    """Return what this process and those that it started, and that have ended, have used until now."""
    return sum(os.times()[:4])


def processor_seconds(process: int) -> float:
    """Return what a process has used until now."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scheduled_seconds(process: int) -> float:
    """Return what a process has used until now, to the microsecond; it's for one that waits."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


def as_text(figures: dict[str, Any]) -> str:
    """Return the figures as lines, with what missed its goal said."""
    parts = {name: told for name, told in figures.items() if isinstance(told, dict)}
    lines = [f"{name}: {', '.join(f'{key} {value}' for key, value in told.items())}" for name, told in parts.items()]
    if figures["search"]["p95_ms"] > GOAL_P95_MS:
        lines.append(f"search: **missed**, p95 {GOAL_P95_MS} ms")
    if figures["import"]["posts_a_second"] < GOAL_IMPORTED_A_SECOND:
        lines.append(f"import: **missed**, {GOAL_IMPORTED_A_SECOND} posts a second")
    return "\n".join([*lines, f"load of the machine: {figures['load_of_the_machine']}"])


if __name__ == "__main__":
    main()
