# Sourced by the shell scripts of lambda/, Tests/ and .ci/: `--help` and the checks of a command line.
#
# A script's help is the comment at its beginning. A wrong command line ends it with status 64 (EX_USAGE of sysexits.h),
# before it has done anything.
script=$0
script_file=$(realpath "$0")

# Ends the script with an error about its command line.
wrong_arguments() {
  printf '%s: %s Try: %s --help\n' "$script" "$1" "$script" >&2
  exit 64
}

# answer_help ARGUMENT...: prints the help and ends the script if --help or -h is among the arguments.
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

# refuse ARGUMENT: ends the script because it has no such option or argument.
refuse() {
  case $1 in
    -*) wrong_arguments "There is no option '$1'." ;;
    *) wrong_arguments "'$1' is one argument too many." ;;
  esac
}

# option_value OPTION [VALUE ...]: prints the value that follows an option.
option_value() {
  [ $# -ge 2 ] && [ -n "$2" ] || wrong_arguments "$1 needs a value."
  printf '%s\n' "$2"
}

# expect_arguments LEAST MOST ARGUMENT...: for a script without options but --help.
expect_arguments() {
  local least=$1 most=$2 argument
  shift 2
  answer_help "$@"
  for argument in "$@"; do
    case $argument in -?*) refuse "$argument" ;; esac
  done
  [ $# -ge "$least" ] || wrong_arguments "$((least - $#)) more of its arguments are needed."
  if [ $# -gt "$most" ]; then
    shift "$most"
    refuse "$1"
  fi
}
