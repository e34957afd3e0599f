"""Python's side of the benchmark.

usage: python.py requests|httpx|aiohttp URL CA-FILE          one status after the other
       python.py httpx-many|aiohttp-many URL CA-FILE AT-ONCE
"""
import asyncio
import gc
import ssl
import sys
import time

what, url, ca = sys.argv[1:4]
at_once = int(sys.argv[4]) if len(sys.argv) > 4 else 1
headers = {
    "Authorization": "Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R",
    "Accept": "application/json",
    "User-Agent": "bmwi/bench",
}


def orders():
    for line in sys.stdin:
        n, repeats = map(int, line.split())
        yield n, repeats
        if n == 0:
            gc.collect()


def answer(before):
    print("%.6f" % (time.process_time() - before), flush=True)


def check(status, body):
    if status != 200 or body["vehicleStatus"]["mileage"] != 1234:
        raise SystemExit("not the status")


def one(get):
    for n, repeats in orders():
        before = time.process_time()
        for _ in range(n * repeats):
            response = get()
            check(response.status_code, response.json())
        answer(before)


async def many(get):
    """get is a coroutine function; at_once tasks share the work."""
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        n, repeats = map(int, line.split())
        before = time.process_time()
        for _ in range(repeats):
            left = iter(range(n))

            async def take():
                for _ in left:
                    check(*await get())

            await asyncio.gather(*(take() for _ in range(at_once)))
        if n == 0:
            gc.collect()
        answer(before)


async def with_aiohttp():
    import aiohttp
    connector = aiohttp.TCPConnector(limit=at_once, ssl=ssl.create_default_context(cafile=ca))
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async def get():
            async with session.get(url) as response:
                return response.status, await response.json()
        await many(get)


async def with_httpx():
    import httpx
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(verify=ca, headers=headers, limits=limits, timeout=30,
                                 trust_env=False) as client:
        async def get():
            response = await client.get(url)
            return response.status_code, response.json()
        await many(get)


if what == "requests":
    import requests
    session = requests.Session()
    session.trust_env = False
    session.verify = ca
    session.headers.update(headers)
    one(lambda: session.get(url))
elif what == "httpx":
    import httpx
    client = httpx.Client(verify=ca, headers=headers, trust_env=False)
    one(lambda: client.get(url))
elif what in ("aiohttp", "aiohttp-many"):
    asyncio.run(with_aiohttp())
else:
    asyncio.run(with_httpx())
