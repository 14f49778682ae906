"""A process that uses an embedded server: says its process id, and stays until its standard input is closed."""

import asyncio
import sys
from pathlib import Path

from redis.asyncio import Redis

from core.store.embedded import embedded


async def main(folder: Path) -> None:
    async with embedded(folder) as url, Redis.from_url(url) as redis:
        info = await redis.info("server")
        sys.stdout.write(f"{info['process_id']}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
