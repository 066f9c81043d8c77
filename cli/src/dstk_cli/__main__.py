"""`python -m dstk_cli`: the same as `dstk`."""

from dstk_cli.main import main

main()
