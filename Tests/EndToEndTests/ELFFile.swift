import Glibc

/// The dependencies and the names in an ELF file (64-bit, little-endian).
///
/// Layout: the ELF-64 Object File Format, and elf(5).
struct ELFFile {
  /// Why a file can't be parsed.
  enum Failure: Error {
    case notELF64
    case cutShort(offset: Int)
  }

  /// The shared libraries that the file needs (`DT_NEEDED`); empty for a static program.
  private(set) var neededLibraries: [String] = []
  /// The string tables (`SHT_STRTAB`). They include symbol names unless the file is stripped.
  private var nameTables: [Range<Int>] = []

  private let bytes: [UInt8]

  private struct Section {
    let type: Int
    let contents: Range<Int>
    let link: Int
  }

  init(_ bytes: [UInt8]) throws(Failure) {
    self.bytes = bytes
    guard bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46, 2, 1]) else { throw .notELF64 }
    let table = try number(at: 0x28, size: 8)
    let entrySize = try number(at: 0x3A, size: 2)
    var sections: [Section] = []
    for index in 0..<(try number(at: 0x3C, size: 2)) {
      sections.append(try section(at: table + index * entrySize))
    }
    nameTables = sections.filter { $0.type == 3 }.map(\.contents)
    // SHT_DYNAMIC
    for section in sections where section.type == 6 && sections.indices.contains(section.link) {
      let names = sections[section.link].contents.lowerBound
      for entry in stride(from: section.contents.lowerBound, to: section.contents.upperBound, by: 16) {
        // DT_NEEDED
        guard try number(at: entry, size: 8) == 1 else { continue }
        neededLibraries.append(try text(at: names + number(at: entry + 8, size: 8)))
      }
    }
  }

  /// Returns whether the name of a symbol or section contains `text`.
  ///
  /// Uses functions of the C library, because a program has a hundred thousand symbols.
  func hasName(containing text: String) -> Bool {
    nameTables.contains { table in
      // A table ends with the NUL of its last name, so no search runs past it.
      guard let last = table.last, bytes[last] == 0 else { return false }
      return unsafe bytes.withUnsafeBytes { bytes in
        guard let start = unsafe bytes.bindMemory(to: CChar.self).baseAddress else { return false }
        var position = table.lowerBound
        while position < table.upperBound {
          if unsafe strstr(start + position, text) != nil { return true }
          position += unsafe strlen(start + position) + 1
        }
        return false
      }
    }
  }

  private func section(at offset: Int) throws(Failure) -> Section {
    let type = try number(at: offset + 4, size: 4)
    let start = try number(at: offset + 24, size: 8)
    let size = try number(at: offset + 32, size: 8)
    // SHT_NOBITS takes no space in the file.
    guard type != 8 else { return Section(type: type, contents: 0..<0, link: 0) }
    guard start >= 0, size >= 0, start <= bytes.count, size <= bytes.count - start else {
      throw .cutShort(offset: start)
    }
    return Section(type: type, contents: start..<start + size, link: try number(at: offset + 40, size: 4))
  }

  private func number(at offset: Int, size: Int) throws(Failure) -> Int {
    guard offset >= 0, offset <= bytes.count - size else { throw .cutShort(offset: offset) }
    return bytes[offset..<offset + size].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private func text(at offset: Int) throws(Failure) -> String {
    guard bytes.indices.contains(offset) else { throw .cutShort(offset: offset) }
    return String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
  }
}
