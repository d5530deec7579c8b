import CLinux
import Glibc
import Testing

@testable import DeviceDefender

@Suite struct `A reader of route messages` {
  @Test func `reads the local address and its label`() throws {
    let head: [UInt8] = [UInt8(AF_INET), 32, 0, 0] + [7, 0, 0, 0]
    // NLA_F_NET_BYTEORDER in the type is a flag and doesn't change the attribute.
    let local = attribute(UInt16(IFA_LOCAL) | 0x4000, [10, 0, 0, 1])
    let message =
      head + attribute(UInt16(IFA_ADDRESS), [10, 0, 0, 2]) + local
      + attribute(UInt16(IFA_LABEL), Array("tun0:1\0".utf8))
    let address = try #require(try InterfaceAddress(message.span))
    #expect(address.address.description == "10.0.0.1")
    #expect(address.label == "tun0:1")
    #expect(address.interfaceIndex == UInt32(littleEndian: 7) || address.interfaceIndex == 0x0700_0000)
  }

  @Test(
    arguments: [
      [], [2, 0, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0, 0, 0],
      [2, 0, 0, 0, 1, 0, 0, 0] + attribute(1, [1, 2, 3]),
      [10, 0, 0, 0, 1, 0, 0, 0] + attribute(1, [1, 2, 3, 4]),
    ])
  func `rejects an address message without an address`(bytes: [UInt8]) {
    #expect(throws: NetlinkError.self) { _ = try InterfaceAddress(bytes.span) }
  }
}
