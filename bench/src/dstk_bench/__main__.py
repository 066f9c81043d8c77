"""`dstk-bench`, and `python -m dstk_bench`."""

import signal


def main() -> None:
    """Loads the command and runs it. Ctrl-C while it loads ends the process without a traceback."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    if on_interrupt is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dstk_bench.command import main as run  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, on_interrupt)
    run()


if __name__ == "__main__":
    main()
