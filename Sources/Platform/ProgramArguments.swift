/// What follows the program's name on its command line (`/proc/self/cmdline`, proc(5)); nothing where that can't be read.
///
/// Swift's `CommandLine` finds its arguments in every program that links it by reading the table of memory mappings,
/// line by line with `sscanf`, before `main`. The release leaves that out (lambda/packaging/layout.ld): it is 5 % of what
/// is executed until the first request. So what `bootstrap` links can't use `CommandLine`: it would be empty.
package func programArguments() -> [String] {
  var contents: [UInt8] = []
  do throws(Errno) {
    let file = try FileDescriptor(reading: "/proc/self/cmdline")
    while try file.read(into: &contents, limit: 1_024) > 0 {}
  } catch {
    return []
  }
  // Each argument ends with a zero, the last one too.
  var arguments: [String] = []
  var start = 0
  for end in contents.indices where contents[end] == 0 {
    if start > 0 { arguments.append(String(decoding: contents[start..<end], as: UTF8.self)) }
    start = end + 1
  }
  return arguments
}
