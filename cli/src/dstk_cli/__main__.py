"""`dstk`, and `python -m dstk_cli`."""

import signal


def main() -> None:
    """Loads the command and runs it. Ctrl-C while it loads, which takes half a second, ends it without a word."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    if on_interrupt is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dstk_cli.main import main as run  # noqa: PLC0415 - see above

    signal.signal(signal.SIGINT, on_interrupt)
    run()


if __name__ == "__main__":
    main()
