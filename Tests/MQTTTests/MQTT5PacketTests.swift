import TestSupport
import Testing
import WireFormats

@testable import MQTT

struct `The packets of MQTT 5` {
  private static let report = {
    var message = Message(topic: "t", payload: [0x7B, 0x7D])
    message.properties.expirySeconds = 300
    message.properties.contentType = "a/b"
    message.properties.userProperties = [UserProperty(name: "report-id", value: "7")]
    return message
  }()

  @Test(
    arguments: [
      (
        .connect(ConnectOptions(clientID: "d", keepAliveSeconds: 300), packetLimit: 4_096),
        "101b 0004 4d515454 05 02 012c 0d 11 00000000 21 0040 27 00001000 0001 64"
      ),
      (.publish(Message(topic: "t", payload: [1]), .atMostOnce, packetID: 0), "3005 0001 74 00 01"),
      (
        .publish(report, .atLeastOnce, packetID: 1),
        "3222 0001 74 0001 1a 02 0000012c 03 0003 612f62 26 0009 7265706f72742d6964 0001 37 7b7d"
      ),
      (.publishAcknowledgement(packetID: 65_535), "4002 ffff"),
      (.subscribe(topicFilters: ["a", "é"], packetID: 1), "820c 0001 00 0001 61 01 0002 c3a9 01"),
      (.subscribe(topicFilters: ["a"], packetID: 1, wantsRetained: false), "8207 0001 00 0001 61 21"),
      (.pingRequest, "c000"), (.disconnect(), "e000"), (.disconnect(.protocolError), "e001 82"),
    ] as [(OutgoingPacket, String)])
  func `are written as in the specification`(packet: OutgoingPacket, expected: String) throws {
    #expect(try hex(packet.encoded(for: .five)) == hex(bytes(expected)))
  }

  @Test(arguments: [String(repeating: "x", count: 65_536), "nul\0"])
  func `can't carry every string in a property`(text: String) {
    var message = Message(topic: "t", payload: [])
    message.properties.userProperties = [UserProperty(name: "n", value: text)]
    #expect(throws: MQTTError.self) {
      try OutgoingPacket.publish(message, .atMostOnce, packetID: 0).encoded(for: .five)
    }
  }

  private static let allLimits = {
    var limits = ServerLimits()
    limits.receiveMaximum = 100
    limits.maximumPacketSize = 149_504
    limits.keepAliveSeconds = 60
    limits.assignedClientID = "id"
    limits.acceptsAtLeastOnce = false
    return limits
  }()

  @Test(
    arguments: [
      ("2003 00 00 00", .connectAnswer(sessionPresent: false, Reason(.success), ServerLimits())),
      ("2003 01 87 00", .connectAnswer(sessionPresent: true, Reason(.notAuthorized), ServerLimits())),
      (
        "2008 00 87 05 1f 0002 6e6f",
        .connectAnswer(sessionPresent: false, Reason(.notAuthorized, "no"), ServerLimits())
      ),
      (
        // Every property that the client uses, and others that it skips.
        "202b 00 00 28 21 0064 27 00024800 13 003c 12 0002 6964 24 00 11 00000000 22 0008 25 00 28 01 29 01"
          + " 2a 00 26 0001 61 0000",
        .connectAnswer(sessionPresent: false, Reason(.success), allLimits)
      ),
      (
        "200c 00 9c 09 1c 0006 682e74657374",
        .connectAnswer(
          sessionPresent: false, Reason(.useAnotherServer, "the server names 'h.test'"), ServerLimits())
      ),
      // A server of MQTT 3.1.1 refuses the version.
      ("2002 00 01", .connectAcknowledgement(sessionPresent: false, returnCode: 1)),
      (
        "3004 0001 74 00",
        .publish(Message(topic: "t", payload: []), packetID: nil, isDuplicate: false)
      ),
      (
        // A message that matches two subscriptions has two identifiers.
        "3a2f 0001 74 0102 27 01 01 02 0000012c 03 0001 63 08 0001 72 09 0002 ff00 0b 01 0b 8001 26 0001 61 0001 62"
          + " 26 0001 61 0001 62 6869",
        .publish(Message(topic: "t", payload: Array("hi".utf8)), packetID: 0x0102, isDuplicate: true)
      ),
      ("4002 0001", .publishAcknowledgement(packetID: 1)),
      ("4003 0001 00", .publishAcknowledgement(packetID: 1)),
      ("4003 0001 10", .publishAcknowledgement(packetID: 1, Reason(ReasonCode(rawValue: 0x10)))),
      (
        "4009 0001 97 05 1f 0002 6e6f", .publishAcknowledgement(packetID: 1, Reason(.quotaExceeded, "no"))
      ),
      ("9005 0001 00 01 87", .subscribeAcknowledgement(packetID: 1, returnCodes: [1, 0x87])),
      (
        "9009 0001 05 1f 0002 6e6f 87",
        .subscribeAcknowledgement(packetID: 1, returnCodes: [0x87], text: "no")
      ),
      ("d000", .pingResponse), ("e000", .disconnect(Reason(.success))),
      ("e001 8e", .disconnect(Reason(.sessionTakenOver))),
      ("e007 8d 05 1f 0002 6e6f", .disconnect(Reason(.keepAliveTimeout, "no"))),
    ] as [(String, IncomingPacket)])
  func `are read in one piece and byte by byte`(text: String, expected: IncomingPacket) throws {
    var reader = PacketReader(version: .five)
    reader.append(bytes(text))
    #expect(try reader.next() == expected)
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
      ("f0", "type 15", "servers don't send", .protocolError),
      ("e1", "DISCONNECT", "the flags are 1", .malformedPacket),
      ("2002 0000", "CONNACK", "it ends before the length of the properties", .malformedPacket),
      ("2002 0006", "CONNACK", "the reason code is 6", .malformedPacket),
      ("2003 00 01 00", "CONNACK", "the reason code is 1", .malformedPacket),
      ("2003 02 00 00", "CONNACK", "flags are 2", .malformedPacket),
      // Truncated and oversized properties.
      ("2003 00 00 01", "CONNACK", "it ends inside the properties", .malformedPacket),
      ("2004 00 00 00 00", "CONNACK", "1 unexpected bytes", .malformedPacket),
      ("2004 00 00 01 21", "CONNACK", "it ends before the receive maximum", .malformedPacket),
      ("2005 00 00 02 2100", "CONNACK", "it ends before the receive maximum", .malformedPacket),
      ("2007 00 00 04 27 000100", "CONNACK", "it ends before the maximum packet size", .malformedPacket),
      ("2006 00 00 03 1f 0001", "CONNACK", "it ends inside the reason string", .malformedPacket),
      ("2007 00 00 04 1f 0001 00", "CONNACK", "the reason string isn't text", .malformedPacket),
      ("2008 00 00 05 1f 0002 c328", "CONNACK", "the reason string isn't text", .malformedPacket),
      ("2008 00 00 05 26 0001 61 00", "CONNACK", "it ends before the user property", .malformedPacket),
      ("2006 00 00 03 16 0001", "CONNACK", "it ends inside the authentication data", .malformedPacket),
      (
        "2007 00 00 ffffffff 00", "CONNACK", "the length of the properties has more than four",
        .malformedPacket
      ),
      ("2007 00 00 ffffff7f 00", "CONNACK", "it ends inside the properties", .malformedPacket),
      ("2004 00 00 8000", "CONNACK", "the length of the properties has unnecessary bytes", .malformedPacket),
      // Properties that don't exist, don't belong there, or are repeated.
      ("2005 00 00 02 04 00", "CONNACK", "there is no property 4", .malformedPacket),
      ("2006 00 00 03 a102 00", "CONNACK", "there is no property 289", .malformedPacket),
      ("2005 00 00 02 01 00", "CONNACK", "the payload format indicator isn't allowed", .protocolError),
      ("3006 0001 74 02 24 01", "PUBLISH", "the maximum QoS isn't allowed", .protocolError),
      ("3008 0001 74 04 1f 0001 61", "PUBLISH", "the reason string isn't allowed", .protocolError),
      ("e007 00 05 11 00000000", "DISCONNECT", "the session expiry interval isn't allowed", .protocolError),
      ("2009 00 00 06 21 0001 21 0001", "CONNACK", "the receive maximum is repeated", .protocolError),
      ("200b 00 00 08 1f 0001 61 1f 0001 61", "CONNACK", "the reason string is repeated", .protocolError),
      (
        "300e 0001 74 0a 02 00000001 02 00000001", "PUBLISH", "the message expiry interval is repeated",
        .protocolError
      ),
      // Values that aren't allowed.
      ("2006 00 00 03 21 0000", "CONNACK", "the receive maximum is 0", .protocolError),
      ("2008 00 00 05 27 00000000", "CONNACK", "the maximum packet size is 0", .protocolError),
      ("2005 00 00 02 24 02", "CONNACK", "the maximum QoS is 2", .protocolError),
      ("2005 00 00 02 25 02", "CONNACK", "the retain flag is 2", .protocolError),
      ("3006 0001 74 02 0b 00", "PUBLISH", "the subscription identifier is 0", .protocolError),
      ("3007 0001 74 03 23 0000", "PUBLISH", "the topic alias is 0", .protocolError),
      ("3006 0000 03 23 0001", "PUBLISH", "the topic alias is 1, but none is allowed", .invalidTopicAlias),
      ("3003 0000 00", "PUBLISH", "the topic is empty", .malformedPacket),
      ("3003 0001 74", "PUBLISH", "it ends before the length of the properties", .malformedPacket),
      ("4002 0000", "PUBACK", "identifier is 0", .protocolError),
      ("4003 0001 01", "PUBACK", "the reason code is 1", .malformedPacket),
      ("4005 0001 00 01 1f", "PUBACK", "it ends before the reason string", .malformedPacket),
      ("9002 0001", "SUBACK", "it ends before the length of the properties", .malformedPacket),
      ("e001 04", "DISCONNECT", "the reason code is 4", .malformedPacket),
      ("d08000", "PINGRESP", "unnecessary", .malformedPacket),
      ("30ffffff7f", "PUBLISH", "the limit is 196608", .packetTooLarge),
    ] as [(String, String, String, ReasonCode)])
  func `are rejected if no server may send them`(
    text: String, packet: String, reason: String, code: ReasonCode
  ) {
    var reader = PacketReader(version: .five)
    reader.append(bytes(text))
    do throws(PacketError) {
      let read = try reader.next()
      Issue.record("was read as \(String(describing: read))")
    } catch {
      #expect(error.packet.hasSuffix(packet) && error.reason.contains(reason), "\(error)")
      #expect(error.code == code)
    }
  }

  @Test func `survive seeded damage, in pieces of every size`() {
    var random = SeededRandom(seed: 5)
    let whole = bytes(
      "202b 00 00 28 21 0064 27 00024800 13 003c 12 0002 6964 24 00 11 00000000 22 0008 25 00 28 01 29 01"
        + " 2a 00 26 0001 61 0000 9005 0001 00 01 87 4009 0001 97 05 1f 0002 6e6f"
        + "3a2f 0001 74 0102 27 01 01 02 0000012c 03 0001 63 08 0001 72 09 0002 ff00 0b 01 0b 8001 26 0001 61 0001 62"
        + " 26 0001 61 0001 62 6869 d000 e007 8d 05 1f 0002 6e6f")
    for _ in 0..<20_000 {
      var reader = PacketReader(limit: 4_096, version: .five)
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

struct `A reason of MQTT 5` {
  @Test func `has the standard's name and number`() {
    #expect("\(Reason(.notAuthorized))" == "not authorized (135)")
    #expect("\(ReasonCode(rawValue: 0xFE))" == "unknown reason (254)")
    // Every code of the table in section 2.4 that a server may send to this client.
    let codes = [0x00, 0x01, 0x02, 0x10] + Array(0x80...0xA2)
    let names = Set(codes.map { "\(ReasonCode(rawValue: UInt8($0)))" })
    #expect(names.count == codes.count && !names.contains { $0.hasPrefix("unknown") })
  }

  @Test func `shows the server's words without control characters, without secrets, and cut`() {
    let words = "a\u{1b}[31m\nb " + String(repeating: "x", count: 60_000)
    let shown = "\(Reason(.notAuthorized, words))"
    #expect(shown.hasPrefix("not authorized (135): a\\u{") && shown.contains("[31m\\nb xxx"), "\(shown)")
    #expect(shown.unicodeScalars.allSatisfy { $0.value >= 0x20 })
    #expect(shown.unicodeScalars.count < 300)
    for long in [String(repeating: "\u{1b}", count: 200), "a" + String(repeating: "\u{301}", count: 30_000)] {
      #expect("\(Reason(.notAuthorized, long))".unicodeScalars.count < 300)
    }
    #expect(!"\(Reason(.notAuthorized, "password=hunter22"))".contains("hunter22"))
    #expect(Reason(.notAuthorized, "").text == nil)
  }
}
