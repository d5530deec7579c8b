# Shows what a long script is doing. Sourced by lambda/package and lambda/install.
quiet=

# phase TEXT: prints a line at the start of a phase, with the time since the script started. Prints nothing if $quiet isn't empty.
# To standard error, because standard output has the results.
phase() {
  [ -n "$quiet" ] || printf '[%3d s] %s\n' "$SECONDS" "$1" >&2
}
