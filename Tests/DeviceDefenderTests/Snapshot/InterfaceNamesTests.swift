import Platform
import TestSupport
import Testing

@testable import DeviceDefender

@Suite struct `The interfaces of addresses` {
  private func names() -> InterfaceNames {
    var names = InterfaceNames()
    for (address, interface) in [
      ("127.0.0.1", "lo"), ("::1", "lo"), ("192.0.2.10", "eth0"), ("192.0.2.11", "eth0:1"),
      ("fe80::1", "eth0"),
      ("fe80::1", "eth1"), ("fe80::2", "eth0"),
    ] {
      if let address = IPAddress(parsing: address) { names.insert(address, interface: interface) }
    }
    names.insert(index: 3, interface: "eth1")
    names.insert(network: 0x0A00_0000, mask: 0xFF00_0000, interface: "wan")
    names.insert(network: 0x0A01_0000, mask: 0xFFFF_0000, interface: "lan")
    names.insert(network: 0x0A02_0000, mask: 0xFFFF_0000, interface: "a")
    names.insert(network: 0x0A02_0000, mask: 0xFFFF_0000, interface: "b")
    return names
  }

  @Test(
    arguments: [
      ("0.0.0.0", 0, "0.0.0.0"), ("::", 3, "::"), ("::ffff:0.0.0.0", 0, "0.0.0.0"), ("127.0.0.1", 0, "lo"),
      ("127.255.255.254", 0, "lo"), ("::1", 0, "lo"), ("192.0.2.10", 0, "eth0"),
      ("::ffff:192.0.2.11", 0, "eth0:1"),
      ("192.0.2.12", 0, nil), ("2001:db8::1", 0, nil), ("fe80::1", 0, nil), ("fe80::1", 3, "eth1"),
      ("fe80::1", 9, nil), ("fe80::2", 0, "eth0"), ("fe80::3", 3, "eth1"), ("10.9.9.9", 0, "wan"),
      ("10.1.9.9", 0, "lan"), ("10.2.9.9", 0, nil), ("224.0.0.251", 0, nil),
    ] as [(String, UInt32, String?)])
  func `finds the interface of an address, or none`(text: String, index: UInt32, interface: String?) throws {
    let address = try #require(IPAddress(parsing: text))
    #expect(names().interface(of: address, index: index) == interface)
  }

  @Test func `reads the addresses of another namespace from its files`() throws {
    let tree = try TemporaryDirectory()
    try tree.write(
      "1/net/route",
      """
      Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
      eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
      eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
      down\t000300C0\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000400C0\t010200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000500C0\t010200C0\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
      eth0\t000600C0\t00000000\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
      ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
      cut\t0003
      """)
    try tree.write(
      "1/net/if_inet6",
      """
      fe8000000000000000fc00fffe000001 04 40 20 80     eth0
      00000000000000000000000000000001 01 80 10 80       lo
      0000000000000000000000000000000x 01 80 10 80       lo
      """)
    try tree.write("1/net/dev", "")
    let root = ProcRoot(tree.path)
    #expect(root.networkDirectory == "1/net")
    let log = RecordedLog()
    let names = InterfaceNames.ofOtherNamespace(root, directory: "1/net", log: log.log())
    for (text, interface) in [
      ("192.0.2.77", "eth0"), ("192.0.3.1", nil), ("192.0.4.1", nil), ("192.0.5.1", nil), ("192.0.6.1", nil),
      ("127.0.0.9", "lo"), ("::1", "lo"),
      ("fe80::fc:ff:fe00:1", "eth0"), ("198.51.100.1", nil),
    ] {
      let address = try #require(IPAddress(parsing: text))
      #expect(names.interface(of: address) == interface, "\(text)")
    }
    #expect(log.lines.count == 2)
  }

  @Test func `reads this process's namespace under any mount of its procfs`() {
    #expect(ProcRoot("/proc/").networkDirectory == "net")
    #expect(ProcRoot("/proc/self/root/proc").networkDirectory == "net")
    #expect(ProcRoot(fixturePath("proc/basic/t1")).networkDirectory == "net")
  }
}
