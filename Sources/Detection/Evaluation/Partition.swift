/// The number line, cut at the first and after the last member of each range of several sets.
///
/// Each piece has one bit for each set that contains it. So one binary search over the pieces finds all sets that contain an
/// element.
struct Partition<Bound: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  /// The first element of each piece, ascending. The first piece begins at zero.
  private var starts: [Bound] = [0]
  /// The index of the bits of each piece.
  private var piece: [Int32] = [0]
  /// The different combinations of bits, one after the other.
  private var combinations: [UInt64]
  private let wordCount: Int

  /// Creates the partition of `sets`, each a list of closed ranges. Set `n` has bit `n`.
  init(_ sets: [[ClosedRange<Bound>]]) {
    wordCount = max(1, (sets.count + 63) / 64)
    combinations = Array(repeating: 0, count: wordCount)
    var changes: [(position: Bound, set: Int, isBegin: Bool)] = []
    for (index, ranges) in sets.enumerated() {
      for range in Self.merged(ranges) {
        changes.append((range.lowerBound, index, true))
        // No piece begins after a range that ends at the largest number.
        if range.upperBound < .max { changes.append((range.upperBound + 1, index, false)) }
      }
    }
    changes.sort { $0.position < $1.position }
    var known: [[UInt64]: Int32] = [combinations: 0]
    var bits = combinations
    for (index, change) in changes.enumerated() {
      let bit = UInt64(1) << UInt64(change.set % 64)
      if change.isBegin { bits[change.set / 64] |= bit } else { bits[change.set / 64] &= ~bit }
      // All changes at one position begin the same piece.
      if index + 1 < changes.count, changes[index + 1].position == change.position { continue }
      if known[bits] == nil {
        known[bits] = Int32(truncatingIfNeeded: combinations.count / wordCount)
        combinations += bits
      }
      append(change.position, known[bits] ?? 0)
    }
  }

  private mutating func append(_ position: Bound, _ combination: Int32) {
    if position == 0 {
      piece[0] = combination
    } else if piece.last != combination {
      starts.append(position)
      piece.append(combination)
    }
  }

  /// Returns the ranges in order, with overlapping and adjacent ones joined.
  private static func merged(_ ranges: [ClosedRange<Bound>]) -> [ClosedRange<Bound>] {
    var result: [ClosedRange<Bound>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
        result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// Returns the index of the combination of `element`.
  @inline(__always)
  func combination(of element: Bound) -> Int {
    var low = 0
    var count = starts.count
    // The piece is the last one that begins at or before the element; the first one always does.
    while count > 1 {
      let half = count / 2
      if starts[low + half] <= element { low += half }
      count -= half
    }
    return Int(piece[low])
  }

  /// Returns a word of a combination.
  @inline(__always)
  func word(_ index: Int, of combination: Int) -> UInt64 { combinations[combination * wordCount + index] }

  /// Adds the sets that contain an element to `any`, and removes those that don't from `all`.
  @inline(__always)
  func accumulate(_ elements: [Bound], any: inout [UInt64], all: inout [UInt64]) {
    var last = -1
    for element in elements {
      let combination = combination(of: element)
      if combination == last { continue }
      last = combination
      for index in 0..<wordCount {
        let word = word(index, of: combination)
        any[index] |= word
        all[index] &= word
      }
    }
  }

  /// Returns whether set `set` contains `element`.
  func contains(_ element: Bound, set: Int) -> Bool {
    word(set / 64, of: combination(of: element)) & (UInt64(1) << UInt64(set % 64)) != 0
  }
}
