"""The commands of `main.py`: where concrete parts are put together. Each module's `main(argv)` returns an exit code."""
