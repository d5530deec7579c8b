import Glibc
import Testing

@testable import DeviceDefender

@Suite struct `A reader of socket diagnostics` {
  @Test func `reads a socket`() throws {
    let v6 = diagnosedSocket(
      AF_INET6, state: 1, [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1], 8_883,
      [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 1], 65_535, interface: 3, cookie: 9)
    let message = try SocketMessage(v6.span)
    let record = message.record(v6.span)
    #expect(record.local.description == "[fe80::1]:8883")
    #expect(record.remote.description == "[::ffff:192.0.2.1]:65535")
    #expect(record.interfaceIndex == 3)
    #expect(record.identity == 9)
    #expect(record.state == 1)
  }

  @Test(arguments: [[], [2], [UInt8](repeating: 2, count: 71), [UInt8](repeating: 1, count: 72)])
  func `rejects a socket that is truncated or of another family`(bytes: [UInt8]) {
    #expect(throws: NetlinkError.self) { _ = try SocketMessage(bytes.span) }
  }
}
