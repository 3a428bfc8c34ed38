"""A GET by each of the libraries whose calls are watched."""

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing

import httpx
import requests
import urllib3

Get = Callable[[str], int]


def with_http_client(url: str) -> int:
    scheme, _, server, path = url.split("/", 3)
    kind = http.client.HTTPSConnection if scheme == "https:" else http.client.HTTPConnection
    with closing(kind(server, timeout=60)) as connection:
        connection.request("GET", f"/{path}")
        return connection.getresponse().status


def with_urllib(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def with_urllib3(url: str) -> int:
    with urllib3.PoolManager(retries=urllib3.Retry(connect=0, read=0, redirect=5), timeout=60) as pool:
        return pool.request("GET", url).status


def with_requests(url: str) -> int:
    with requests.get(url, timeout=60) as response:
        return response.status_code


def with_httpx(url: str) -> int:
    return httpx.get(url, timeout=60, follow_redirects=True, trust_env=False).status_code


def with_async_httpx(url: str) -> int:
    async def get() -> int:
        async with httpx.AsyncClient(timeout=60, follow_redirects=True, trust_env=False) as client:
            return (await client.get(url)).status_code

    return asyncio.run(get())


LIBRARIES = [with_http_client, with_urllib, with_urllib3, with_requests, with_httpx, with_async_httpx]
