/// Returns the command-line arguments after the program's name (`/proc/self/cmdline`, proc(5)); empty if they can't be
/// read.
///
/// In every program that links it, Swift's `CommandLine` finds the arguments before `main` by reading the table of memory
/// mappings, line by line with `sscanf`. The release omits that code (lambda/packaging/layout.ld): it is 5 % of what is
/// executed until the first request. Code that `bootstrap` links therefore can't use `CommandLine`: it would be empty.
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
