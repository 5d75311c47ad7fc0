"""What each command does; `orderctl.cli` says how it is called."""
