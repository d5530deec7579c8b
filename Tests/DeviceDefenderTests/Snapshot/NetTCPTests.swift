import Testing

@testable import DeviceDefender

@Suite struct `A reader of socket files` {
  @Test func `reads a line that is truncated anywhere after the state`() throws {
    let line =
      "0: 0100007F:0016 090A0B0C:FFFF 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0"
    let start = "0: 0100007F:0016 090A0B0C:FFFF 0A"
    for end in start.utf8.count...line.utf8.count {
      let socket = try SocketRecord(text: String(line.prefix(end)), family: .v4)
      #expect(socket.local.port == 22 && [0, 4, 42].contains(socket.identity))
    }
  }

  @Test func `ignores a socket with a port of 0`() {
    var generator = SeededGenerator(seed: 1)
    var tcp = TCPSockets(limit: 10, generator: &generator)
    let address = IPAddress(v4: 0x7F00_0001)
    func append(_ state: UInt8, _ local: UInt16, _ remote: UInt16) {
      let record = SocketRecord(
        local: IPEndpoint(address: address, port: local), remote: IPEndpoint(address: address, port: remote),
        state: state)
      tcp.append(record.head, record: record)
    }
    append(SocketRecord.State.established, 1, 0)
    append(SocketRecord.State.established, 0, 1)
    append(SocketRecord.State.listening, 0, 0)
    #expect(tcp.established.total == 0 && tcp.listening.total == 0)
    append(SocketRecord.State.established, 1, 1)
    append(SocketRecord.State.listening, 1, 0)
    #expect(tcp.established.total == 1 && tcp.listening.total == 1)
  }

  @Test(
    arguments: [
      ("", "slot"), ("   ", "slot"), ("0100007F:0016 00000000:0000 0A", "slot"), ("-1: 0:0 0:0 0A", "slot"),
      ("1:0100007F:0016 00000000:0000 0A", "slot"),

      ("0:", "local"), ("0: ", "local"), ("0: 0100007F", "local"),
      ("0: 0100007G:0016 00000000:0000 0A", "local"),
      ("0: 100007F:0016 00000000:0000 0A", "local"), ("0: 00100007F:0016 00000000:0000 0A", "local"),
      ("0: -100007F:0016 00000000:0000 0A", "local"), ("0: 0100007F0016 00000000:0000 0A", "local"),
      ("0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A", "local"),
      ("0: 0100007F:016 00000000:0000 0A", "local port"),
      ("0: 0100007F:00016 00000000:0000 0A", "local port"),
      ("0: 0100007F:", "local port"), ("0: 0100007F:00", "local port"), ("0: 0100007F:0016", "remote"),
      ("0: 0100007F:0016 00000000:000", "remote port"), ("0: 0100007F:0016 00000000:0000", "state"),
      ("0: 0100007F:0016 00000000:0000 ", "state"), ("0: 0100007F:0016 00000000:0000 A", "state"),
      ("0: 0100007F:0016 00000000:0000 00A", "state"), ("0: 0100007F:0016 00000000:0000 ZZ 0", "state"),
      ("0: 0100007F:0016 00000000:0000 \u{e9}A", "state"),
    ])
  func `rejects a line with a missing or malformed column, and names the column`(text: String, column: String)
  {
    let expected: LineError =
      switch column {
      case "slot": .slot
      case "local": .localAddress
      case "local port": .localPort
      case "remote": .remoteAddress
      case "remote port": .remotePort
      default: .state
      }
    #expect(throws: expected) { try SocketRecord(text: text, family: .v4) }
  }

  @Test(
    arguments: [
      "0: 0100007F:0016 090A0B0C:FFFF 0A", "  0: 0100007F:0016 090A0B0C:FFFF 0A ",
      "99999: 0100007f:0016 090a0b0c:ffff 0a 00000000:00000000",
      "\t1:\t0100007F:0016\t090A0B0C:FFFF\t0A\t0:0 0:0 0 0 0 x",
    ])
  func `reads an IPv4 line without an inode number`(text: String) throws {
    let socket = try SocketRecord(text: text, family: .v4)
    #expect(socket.local.description == "127.0.0.1:22")
    #expect(socket.remote.description == "12.11.10.9:65535")
    #expect(socket.state == SocketRecord.State.listening)
    #expect(socket.identity == 0)
  }

  @Test func `reads a line as the kernel writes it`() throws {
    let line = """
        12: B80D0120000000000000000010000000:1770 0000000000000000FFFF0000017100CB:01BB 01 \
      00000000:00000000 02:00000AF0 00000000     0        0 4294967295 1 0000000000000000 100 0 0 10 0
      """
    let socket = try SocketRecord(text: line, family: .v6)
    #expect(socket.local.description == "[2001:db8::10]:6000")
    #expect(socket.remote.description == "[::ffff:203.0.113.1]:443")
    #expect(socket.state == SocketRecord.State.established)
    #expect(socket.identity == 4_294_967_295)
  }
}

extension SocketRecord {
  init(text: String, family: IPAddress.Family) throws(LineError) {
    let bytes = Array(text.utf8)
    try self.init(line: bytes.span, family: family)
  }
}
