import Testing

@testable import defender

struct `Arguments` {
  private func complaint(about argument: [UInt8]) -> String? {
    var program = Array("defender".utf8CString)
    var argument = (argument + [0]).map { CChar(bitPattern: $0) }
    return unsafe program.withUnsafeMutableBufferPointer { program in
      unsafe argument.withUnsafeMutableBufferPointer { argument in
        var list = unsafe [program.baseAddress, argument.baseAddress, nil]
        return unsafe list.withUnsafeMutableBufferPointer { list in
          unsafe list.baseAddress.flatMap { unsafe Defender.complaintAboutEncoding($0) }
        }
      }
    }
  }

  @Test(arguments: [[], Array("--topic".utf8), Array("caf\u{E9}/\u{1F980}\u{FFFD}".utf8)] as [[UInt8]])
  func `are accepted if they are UTF-8`(argument: [UInt8]) {
    #expect(complaint(about: argument) == nil)
  }

  @Test(arguments: [[0xFF], [0x61, 0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]])
  func `are rejected if they aren't UTF-8, because other bytes would be sent`(argument: [UInt8]) throws {
    #expect(try #require(complaint(about: argument)).hasPrefix("Argument 1 isn't UTF-8"))
  }
}
