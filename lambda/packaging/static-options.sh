# How a static program is built and linked, for lambda/packaging/program and lambda/packaging/archive, which source this file in the root directory.

# link_statically DIRECTORY [FLAG...]: sets `static_options`, the options of `swift build` for a small static program, and
# `no_unwind_options`, which remove its unwind tables. Writes an object file to DIRECTORY; FLAG... are clang's options for the target.
link_statically() {
  local toolchain directory=$1
  shift
  toolchain=$(swiftc -print-target-info | sed -nE 's/.*"runtimeResourcePath": "(.*)\/lib\/swift".*/\1/p')
  # Swift's library is linked as one piece, and with it the names of all Unicode characters (0.5 MB), which only
  # Unicode.Scalar.Properties.name uses. With this function, that property is nil.
  printf 'long __wrap__swift_stdlib_getScalarName(unsigned scalar, char *name, long capacity) { return 0; }\n' |
    "$toolchain/bin/clang" "$@" -Wno-unused-command-line-argument -O2 -x c -c -o "$directory/no-names.o" -
  no_names_options=(-Xlinker --wrap=_swift_stdlib_getScalarName -Xlinker "$directory/no-names.o")
  static_options=(
    -Xswiftc -static-executable
    -Xswiftc -use-ld=lld                   # comes with the toolchain, and accepts archives in any order
    --disable-local-rpath                  # a static executable needs no library search path
    -Xlinker "$PWD/lambda/packaging/layout.ld"
    -Xlinker --build-id=none               # the build ID would depend on paths in the debug information, which is stripped
    -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now -Xlinker -z -Xlinker noexecstack
    -Xlinker -z -Xlinker separate-code)
  no_unwind_options=(-Xlinker --no-eh-frame-hdr -Xlinker "$PWD/lambda/packaging/no-unwind.ld")
}

# use_sdk SDK: sets `sdk_options`, the options of `swift build` for arm64 with the SDK at SDK, which lambda/packaging/arm64-sdk created;
# none if SDK is empty.
use_sdk() {
  sdk_options=()
  [ -z "$1" ] || sdk_options=(
    --swift-sdk "$(cat "$1/name")" --swift-sdks-path "$1/sdks" -Xswiftc -DSTANDARD_LIBRARY_6_2
    # This standard library declares fewer operations unsafe than the compiler's own, for which the sources are written. The compiler warns
    # of each `unsafe` before the others.
    -Xswiftc -no-warnings-as-errors)
}
