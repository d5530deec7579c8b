import CLinux
import Glibc
import Platform
import Testing

@testable import DeviceDefender

@Suite struct `A reader of netlink dumps` {
  private func read(_ datagram: [UInt8]) throws(NetlinkError) -> (DumpProgress, payloads: Int) {
    var reader = DumpReader(sequence: 1)
    var payloads = 0
    let progress = try reader.read(datagram.span, type: 20) { _ throws(NetlinkError) in payloads += 1 }
    return (progress, payloads)
  }

  @Test(
    arguments: [
      [0], [UInt8](repeating: 0, count: 15), [UInt8](repeating: 0, count: 16),
      [15, 0, 0, 0] + [UInt8](repeating: 0, count: 12), [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
      [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12), netlinkMessage(2, []),
      netlinkMessage(2, [0, 0, 0]),
      netlinkMessage(20, [1, 2, 3, 4]) + [1],
    ])
  func `rejects a datagram with a truncated message or a wrong length`(datagram: [UInt8]) throws {
    let error = try #require(throws: NetlinkError.self) { _ = try read(datagram) }
    guard case .malformed = error else {
      Issue.record("\(error)")
      return
    }
  }

  @Test(
    arguments: [
      (netlinkMessage(2, status(-ENOENT)), ENOENT), (netlinkMessage(2, status(.min)), EINVAL),
      (netlinkMessage(3, status(-ENOENT)), ENOENT),
      (netlinkMessage(20, []) + netlinkMessage(3, status(-EOPNOTSUPP)), EOPNOTSUPP),
    ])
  func `throws an error status, also from a final message`(datagram: [UInt8], errno: Int32) {
    #expect(throws: NetlinkError.refused(Errno(rawValue: errno))) { _ = try read(datagram) }
  }

  @Test(
    arguments: [
      ([], .unfinished, 0), (netlinkMessage(20, []), .unfinished, 1),
      (netlinkMessage(21, []), .unfinished, 0),
      (netlinkMessage(3, []), .finished, 0), (netlinkMessage(3, status(0)), .finished, 0),
      (netlinkMessage(2, status(0)), .unfinished, 0),
      (netlinkMessage(20, [1]) + netlinkMessage(3, status(0)), .finished, 1),
      (netlinkMessage(20, [], flags: 0x10) + netlinkMessage(3, status(0)), .finishedInconsistent, 1),
      (netlinkMessage(3, status(-1), sequence: 7) + netlinkMessage(20, []), .unfinished, 1),
    ] as [([UInt8], DumpProgress, Int)])
  func `reads a dump to its end`(datagram: [UInt8], progress: DumpProgress, payloads: Int) throws {
    let result = try read(datagram)
    #expect(result.0 == progress)
    #expect(result.payloads == payloads)
  }

  @Test func `treats lost messages as a failure, not as the end of the dump`() {
    let datagram = netlinkMessage(20, [1]) + netlinkMessage(NLMSG_OVERRUN, [])
    #expect(throws: NetlinkError.failed(Errno(rawValue: ENOBUFS))) { _ = try read(datagram) }
  }
}
