// Takes the place of `defender` in a build without DEVICE_DEFENDER_TOOLS=1 (Package.swift).
import Glibc

#warning("This build lacks `defender` and the tests. To build them: DEVICE_DEFENDER_TOOLS=1 swift build")

let message =
  "defender: This build has no tools. Build them in the package's directory: DEVICE_DEFENDER_TOOLS=1 swift build\n"
_ = unsafe write(STDERR_FILENO, message, message.utf8.count)
exit(EX_UNAVAILABLE)
