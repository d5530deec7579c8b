import Platform
import TestSupport
import Testing
import WireFormats

@testable import MQTT

struct `The packets of MQTT` {
  @Test(
    arguments: [
      (
        .connect(ConnectOptions(clientID: "dev-1", keepAliveSeconds: 300), packetLimit: 1_000),
        "1011 0004 4d515454 04 02 012c 0005 6465762d31"
      ),
      (
        .connect(ConnectOptions(clientID: "", keepAliveSeconds: 0), packetLimit: 1_000),
        "100c 0004 4d515454 04 02 0000 0000"
      ),
      (.publish(Message(topic: "a/b", payload: []), .atMostOnce, packetID: 0), "3005 0003 612f62"),
      (
        .publish(Message(topic: "a/b", payload: [1, 2]), .atLeastOnce, packetID: 0x1234),
        "3209 0003 612f62 1234 0102"
      ),
      (.publishAcknowledgement(packetID: 65_535), "4002 ffff"),
      (.subscribe(topicFilters: ["a", "é"], packetID: 1), "820b 0001 0001 61 01 0002 c3a9 01"),
      (.subscribe(topicFilters: ["a"], packetID: 1, wantsRetained: false), "8206 0001 0001 61 01"),
      (.pingRequest, "c000"),
      (.disconnect(), "e000"), (.disconnect(.protocolError), "e000"),
    ] as [(OutgoingPacket, String)])
  func `writes the packets shown in the specification`(packet: OutgoingPacket, expected: String) throws {
    #expect(try hex(packet.encoded(for: .three)) == hex(bytes(expected)))
  }

  @Test(arguments: [
    (0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (131_072, "808008"),
  ])
  func `writes lengths in groups of seven bits`(length: Int, expected: String) throws {
    let payload = [UInt8](repeating: 7, count: max(0, length - 3))
    let packet = OutgoingPacket.publish(Message(topic: "t", payload: payload), .atMostOnce, packetID: 0)
    guard length >= 3 else { return }
    let encoded = try packet.encoded(for: .three)
    #expect(hex(encoded.dropFirst().prefix(expected.utf8.count / 2)) == expected)
    #expect(encoded.count == 1 + expected.utf8.count / 2 + length)
  }

  @Test(arguments: [String(repeating: "x", count: 65_536), "nul\0"])
  func `rejects strings that MQTT can't carry`(text: String) {
    #expect(throws: MQTTError.self) {
      try OutgoingPacket.connect(ConnectOptions(clientID: text, keepAliveSeconds: 1), packetLimit: 1_000)
        .encoded(for: .three)
    }
  }

  @Test(
    arguments: [
      ("2002 0000", .connectAcknowledgement(sessionPresent: false, returnCode: 0)),
      ("2002 0105", .connectAcknowledgement(sessionPresent: true, returnCode: 5)),
      (
        "3003 0001 74",
        .publish(Message(topic: "t", payload: []), packetID: nil, isDuplicate: false)
      ),
      (
        "3a07 0001 74 0102 6869",
        .publish(Message(topic: "t", payload: Array("hi".utf8)), packetID: 0x0102, isDuplicate: true)
      ),
      (
        "3103 0001 74",
        .publish(Message(topic: "t", payload: [], isRetained: true), packetID: nil, isDuplicate: false)
      ),
      ("4002 0001", .publishAcknowledgement(packetID: 1)),
      ("9004 0001 0180", .subscribeAcknowledgement(packetID: 1, returnCodes: [1, 0x80])),
      ("d000", .pingResponse),
      // A length with an unnecessary byte, which the specification allows.
      ("d08000", .pingResponse),
    ] as [(String, IncomingPacket)])
  func `reads what a server sends, in one piece and byte by byte`(
    text: String, expected: IncomingPacket
  ) throws {
    var reader = PacketReader()
    reader.append(bytes(text))
    #expect(try reader.next() == expected)
    #expect(try reader.next() == nil)
    #expect(reader.pendingCount == 0)
    for byte in bytes(text).dropLast() {
      reader.append([byte])
      #expect(try reader.next() == nil)
    }
    reader.append(bytes(text).suffix(1))
    #expect(try reader.next() == expected)
  }

  @Test(
    arguments: [
      ("10", "type 1", "servers don't send"), ("00", "type 0", "servers don't send"),
      ("f0", "type 15", "servers don't send"),
      ("50", "type 5", "servers don't send"), ("b0", "type 11", "servers don't send"),
      ("21", "CONNACK", "the flags are 1"), ("42", "PUBACK", "the flags are 2"),
      ("2003 000000", "CONNACK", "1 unexpected bytes"),
      ("2001 00", "CONNACK", "it ends before the return code"),
      ("2000", "CONNACK", "it ends before the flags"), ("2002 0200", "CONNACK", "flags are 2"),
      ("3000", "PUBLISH", "ends before the topic"), ("3002 0000", "PUBLISH", "the topic is empty"),
      ("3003 0002 74", "PUBLISH", "it ends inside the topic"),
      ("3004 0002 c328", "PUBLISH", "UTF-8"), ("3003 0001 00", "PUBLISH", "NUL"),
      ("3003 0001 23", "PUBLISH", "wildcard"), ("3003 0001 2b", "PUBLISH", "wildcard"),
      ("3405 0001 74 0001", "PUBLISH", "quality of service is 2"),
      ("3605 0001 74 0001", "PUBLISH", "quality of service is 3"),
      ("3803 0001 74", "PUBLISH", "it is marked as a duplicate, but its quality of service is 0"),
      ("3203 0001 74", "PUBLISH", "it ends before the packet identifier"),
      ("3205 0001 74 0000", "PUBLISH", "the packet identifier is 0"),
      ("4002 0000", "PUBACK", "identifier is 0"), ("4001 01", "PUBACK", "it ends before"),
      ("9001 00", "SUBACK", "it ends before"), ("d001 00", "PINGRESP", "1 unexpected bytes"),
      ("3080808080", "PUBLISH", "more than four bytes"), ("30ffffff7f", "PUBLISH", "the limit is 196608"),
      ("3081800c", "PUBLISH", "its length is 196609 bytes"),
    ])
  func `rejects what no server may send`(text: String, packet: String, reason: String) {
    var reader = PacketReader()
    reader.append(bytes(text))
    do throws(PacketError) {
      let read = try reader.next()
      Issue.record("was read as \(String(describing: read))")
    } catch {
      #expect(error.packet.hasSuffix(packet) && error.reason.contains(reason), "\(error)")
    }
  }

  @Test(arguments: [3, 200])
  func `accepts a packet of the maximum length, and rejects one byte more`(length: Int) throws {
    let payload = [UInt8](repeating: 7, count: length - 3)
    let packet = OutgoingPacket.publish(Message(topic: "t", payload: payload), .atMostOnce, packetID: 0)
    var reader = PacketReader(limit: length)
    reader.append(try packet.encoded(for: .three))
    #expect(
      try reader.next()
        == .publish(Message(topic: "t", payload: payload), packetID: nil, isDuplicate: false))
    var strict = PacketReader(limit: length - 1)
    strict.append(try packet.encoded(for: .three))
    let error = #expect(throws: PacketError.self) { try strict.next() }
    #expect(error?.reason == "its length is \(length) bytes, but the limit is \(length - 1)")
  }

  @Test func `survives seeded damage to every kind of packet, in pieces of every size`() {
    var random = SeededRandom(seed: 6)
    let whole = bytes(
      "20020000 9004000101 01 3a0700017401026869 40020001 d000 3003000174 20020105 3103000174")
    for _ in 0..<20_000 {
      var reader = PacketReader(limit: 4_096)
      var rest = damaged(whole, using: &random)[...]
      do throws(PacketError) {
        while !rest.isEmpty {
          let piece = rest.prefix(Int.random(in: 1...9, using: &random))
          rest = rest.dropFirst(piece.count)
          reader.append(piece)
          while try reader.next() != nil {}
          #expect(reader.pendingCount <= 4_096 + 5)
        }
      } catch {
        #expect(!error.reason.isEmpty)
      }
    }
  }
}
