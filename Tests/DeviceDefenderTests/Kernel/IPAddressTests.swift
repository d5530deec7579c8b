import Testing

@testable import DeviceDefender

@Suite struct `An IP address` {
  @Test(
    arguments: [
      (0, 0, "::"), (0, 1, "::1"), (0, 0xFFFF_0000_0000, "::ffff:0.0.0.0"),
      (0, 0xFFFF_CB00_7101, "::ffff:203.0.113.1"),
      (0, 0xC000_0221, "::192.0.2.33"), (0, 0xFFFF, "::ffff"), (0, 0x1_0000, "::0.1.0.0"),
      (0x2001_0DB8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
      (0x2001_0DB8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
      (0x0001_0000_0000_0002, 3, "1:0:0:2::3"), (0x0064_FF9B_0000_0000, 0xCB00_7101, "64:ff9b::cb00:7101"),
      (0x0001_0002_0003_0004, 0x0005_0006_0000_0000, "1:2:3:4:5:6::"),
      (0, 0x0001_0002_0003_0004, "::1:2:3:4"), (0xFE80_0000_0000_0000, 0, "fe80::"),
      (.max, .max, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] as [(UInt64, UInt64, String)])
  func `is written as inet_ntop writes it`(high: UInt64, low: UInt64, text: String) {
    #expect(IPAddress(v6High: high, low: low).description == text)
  }

  @Test(
    arguments: [(0, "0.0.0.0"), (0x7F00_0001, "127.0.0.1"), (.max, "255.255.255.255")] as [(UInt32, String)])
  func `is written in dotted form`(value: UInt32, text: String) {
    #expect(IPAddress(v4: value).description == text)
  }

  @Test func `has at most 53 characters with its port`() {
    let longest = IPEndpoint(address: IPAddress(v6High: .max, low: .max), port: .max)
    #expect(longest.description == "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")
  }
}
