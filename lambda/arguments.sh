# Handles `--help`, checks the command line and makes `swift` build the tools, too. Sourced by the shell scripts in lambda/, Tests/ and .ci/.
#
# The help of a script is the comment at its top. If the command line is invalid, the script exits with status 64 (EX_USAGE in
# sysexits.h) before it does anything.
script=$0
script_file=$(realpath "$0")
# Without it, Package.swift has no `defender` and no tests.
export DEVICE_DEFENDER_TOOLS=1

# Prints an error about the command line and exits with status 64.
wrong_arguments() {
  printf '%s: %s Try: %s --help\n' "$script" "$1" "$script" >&2
  exit 64
}

# answer_help ARGUMENT...: prints the help and exits if --help or -h is among the arguments.
answer_help() {
  local argument
  for argument in "$@"; do
    case $argument in
      -h | --help)
        sed -nE '2,${ /^#/!q; s/^# ?//p; }' "$script_file"
        exit 0
        ;;
    esac
  done
}

# refuse ARGUMENT: exits with an error because the script doesn't accept this option or argument.
refuse() {
  case $1 in
    -*) wrong_arguments "Unknown option '$1'." ;;
    *) wrong_arguments "Unexpected argument '$1'." ;;
  esac
}

# option_value OPTION [VALUE ...]: prints the value of an option, and exits with an error if it is missing or empty.
option_value() {
  [ $# -ge 2 ] && [ -n "$2" ] || wrong_arguments "$1 needs a value."
  printf '%s\n' "$2"
}

# expect_arguments LEAST MOST ARGUMENT...: checks the number of arguments of a script whose only option is --help.
expect_arguments() {
  local least=$1 most=$2 argument
  shift 2
  answer_help "$@"
  for argument in "$@"; do
    case $argument in -?*) refuse "$argument" ;; esac
  done
  [ $# -ge "$least" ] || wrong_arguments "Expected at least $least argument(s), got $#."
  if [ $# -gt "$most" ]; then
    shift "$most"
    refuse "$1"
  fi
}
