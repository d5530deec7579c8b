import DeviceDefender
import Platform
import TestSupport
import WireFormats

/// A case of `Fixtures/proc`: two snapshots of a procfs tree, and their expected contents.
struct CapturedTree: CustomStringConvertible, Sendable {
  let name: String

  static let all: [CapturedTree] = [
    "addr-forms", "basic", "cpu-backwards", "cpu-guest", "cpu-huge", "cpu-same", "cpu-short", "crlf",
    "duplicates",
    "empty", "garbage", "huge-counters", "iface-change", "iface-names", "ipv6-disabled", "large", "layout",
    "no-header", "states", "truncated", "udp-states", "v4-mapped", "wrap",
  ].map(CapturedTree.init(name:))

  var description: String { name }

  func root(_ moment: String) -> ProcRoot { ProcRoot(fixturePath("proc/\(name)/\(moment)")) }

  func expectation() throws -> JSONValue {
    try JSONValue(parsing: readFile(fixturePath("proc/\(name)/expected.json"), limit: 8 << 20))
  }

  /// The interfaces of the case's machine.
  static func interfaceNames(_ expectation: JSONValue) -> InterfaceNames {
    var names = InterfaceNames()
    for interface in expectation["ifaddrs"]?.members ?? [] {
      for address in interface.value.array ?? [] {
        if let parsed = address.string.flatMap(IPAddress.init(parsing:)) {
          names.insert(parsed, interface: interface.name)
        }
      }
    }
    return names
  }
}
