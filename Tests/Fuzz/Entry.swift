// Where libFuzzer begins: the target of `FUZZ_TARGET`, chosen among those that Tests/FuzzTests has.
import Glibc

private let chosen: FuzzTarget = {
  let name = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
  guard let target = targets.first(where: { $0.name == name }) else {
    print("FUZZ_TARGET is '\(name)'; expected \(targets.map(\.name).joined(separator: ", "))")
    exit(2)
  }
  return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  do {
    try chosen.run(unsafe Array(UnsafeBufferPointer(start: start, count: count)))
  } catch {
    preconditionFailure("\(error)")
  }
  return 0
}
