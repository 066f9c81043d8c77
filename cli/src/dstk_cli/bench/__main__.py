"""`python -m dstk_cli.bench`: the same as `dstk bench`."""

from dstk_cli.bench.command import bench_app

if __name__ == "__main__":
    bench_app()
