import WireFormats

/// Why a string isn't a valid topic to publish to.
package enum TopicError: Error, Equatable, Sendable, CustomStringConvertible {
  case empty
  case nulCharacter
  case wildcard(topic: String, character: Character)
  case dotSegment(topic: String)
  case tooLong(bytes: Int, limit: Int)
  case tooDeep(topic: String, slashes: Int, limit: Int)

  package var description: String {
    switch self {
    case .empty: "the topic is empty"
    case .nulCharacter: "the topic contains a NUL character, which MQTT doesn't allow"
    case .wildcard(let topic, let character):
      "the topic '\(topic)' contains the wildcard '\(character)'; wildcards are only for subscriptions"
    case .dotSegment(let topic):
      "can't publish to the topic '\(topic)' over HTTPS: '.' and '..' have a special meaning in a URL's path"
    case .tooLong(let bytes, let limit):
      "the topic is \(bytes) bytes of UTF-8 long; AWS IoT accepts at most \(limit)"
    case .tooDeep(let topic, let slashes, let limit):
      "the topic '\(topic)' has \(slashes) slashes; AWS IoT accepts at most \(limit) after a reserved prefix"
    }
  }
}

/// An MQTT topic to which AWS IoT accepts messages.
///
/// Limits: "AWS IoT Core message broker and protocol limits and quotas". The segments of a reserved prefix
/// (`$aws/rules/<rule>/` of Basic Ingest, `$aws/things/<thing>/`, …) don't count as slashes; those of Basic Ingest
/// don't count as bytes either.
package struct Topic: Hashable, Sendable, CustomStringConvertible {
  package static let maximumBytes = 256
  package static let maximumSlashes = 7

  package let name: String
  /// The URL path for publishing, such as `/topics/%24aws%2Fthings%2Fpump`. The whole topic is one segment.
  package let path: String

  package init(validating name: String) throws(TopicError) {
    if name.isEmpty { throw .empty }
    if name.utf8.contains(0) { throw .nulCharacter }
    // Compares scalars: a wildcard followed by a combining character is another Character, but still a wildcard.
    for wildcard: Unicode.Scalar in ["+", "#"] where name.unicodeScalars.contains(wildcard) {
      throw .wildcard(topic: name, character: Character(wildcard))
    }
    if name == "." || name == ".." { throw .dotSegment(topic: name) }
    let bytes = name.utf8.count - basicIngestPrefixSize(name)
    if bytes > Self.maximumBytes { throw .tooLong(bytes: bytes, limit: Self.maximumBytes) }
    let slashes = name.utf8.count { $0 == UInt8(ascii: "/") } - slashesOfReservedPrefix(name)
    if slashes > Self.maximumSlashes {
      throw .tooDeep(topic: name, slashes: slashes, limit: Self.maximumSlashes)
    }
    self.name = name
    path = Self.path(of: name)
  }

  package var description: String { name }

  /// Returns the URL path for publishing to `name`, which needn't be a valid topic.
  package static func path(of name: String) -> String { "/topics/" + percentEncoding(name.utf8) }
}

private func slashesOfReservedPrefix(_ topic: String) -> Int {
  guard topic.hasPrefix("$aws/") else { return 0 }
  return min(3, topic.utf8.count { $0 == UInt8(ascii: "/") })
}

private func basicIngestPrefixSize(_ topic: String) -> Int {
  let segments = topic.utf8.split(
    separator: UInt8(ascii: "/"), maxSplits: 3, omittingEmptySubsequences: false)
  guard segments.count == 4, segments[0].elementsEqual("$aws".utf8), segments[1].elementsEqual("rules".utf8)
  else { return 0 }
  return topic.utf8.count - segments[3].count
}
