# Shows what a long script is doing. lambda/package and lambda/install source this file.
quiet=

# phase TEXT: prints a line at the start of a phase, with the time since the script started. If $quiet isn't empty, prints nothing.
# Standard error receives the lines, because standard output has the results.
phase() {
  [ -n "$quiet" ] || printf '[%3d s] %s\n' "$SECONDS" "$1" >&2
}
