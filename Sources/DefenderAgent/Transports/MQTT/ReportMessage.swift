import MQTT
import WireFormats

extension Message {
  /// Creates the message that publishes `payload` to `topic`.
  ///
  /// Over MQTT 5, the report `reportID` expires after `expirySeconds` if `topic` is Device Defender's: it takes one report per
  /// interval. Other messages don't expire. Rules of AWS IoT can read the properties.
  init(_ payload: [UInt8], to topic: Topic, reportID: UInt64?, expirySeconds: UInt32?) {
    self.init(topic: topic.name, payload: payload)
    properties.contentType = mediaType(of: payload)
    guard let reportID else { return }
    // An acknowledged report moves the baseline, so a subscriber of another topic must not lose it.
    if topic.isDeviceDefenders { properties.expirySeconds = expirySeconds }
    properties.userProperties = [UserProperty(name: "report-id", value: "\(reportID)")]
  }
}

/// Returns the media type of a document of this agent: JSON begins with a brace, and CBOR with the head of a map.
private func mediaType(of payload: [UInt8]) -> String? {
  switch payload.first ?? 0 {
  case UInt8(ascii: "{"): "application/json"
  case 0xA0...0xBF: "application/cbor"
  default: nil
  }
}

/// Returns the size of the largest payload on `topic` in a packet of at most `packetSize` bytes.
func largestPayload(inPacketOf packetSize: Int, on topic: Topic) -> Int {
  // The fixed header has 5 bytes, the packet identifier 2, the topic's length 2, and the properties with the longest report
  // id 59.
  max(0, packetSize - topic.name.utf8.count - 68)
}
