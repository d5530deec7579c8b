/// Returns the command-line arguments after the program's name (`/proc/self/cmdline`, proc(5)); empty if they can't be
/// read.
///
/// Swift's `CommandLine` reads the table of memory mappings line by line with `sscanf` to find the arguments. It does so
/// before `main`, in every program that links it. The release omits that code (lambda/packaging/layout.ld), which accounts
/// for 5 % of the instructions until the first request. In code that `bootstrap` links, `CommandLine` would be empty.
package func programArguments() -> [String] {
  var contents: [UInt8] = []
  do throws(Errno) {
    let file = try FileDescriptor(reading: "/proc/self/cmdline")
    while try file.read(into: &contents, limit: 1_024) > 0 {}
  } catch {
    return []
  }
  // Each argument ends with a NUL, including the last one.
  var arguments: [String] = []
  var start = 0
  for end in contents.indices where contents[end] == 0 {
    if start > 0 { arguments.append(String(decoding: contents[start..<end], as: UTF8.self)) }
    start = end + 1
  }
  return arguments
}
