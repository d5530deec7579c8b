/// The last values of a metric, for a graph.
struct History {
  /// The largest number of values, as many as the columns of a very wide terminal.
  static let length = 600
  private var values: [Double?] = []

  /// Adds a value; nil if it is unknown.
  mutating func append(_ value: Double?) {
    values.append(value)
    if values.count > Self.length { values.removeFirst() }
  }

  /// Returns the range of a graph's scale for the last `width` values. It begins at 0, or at the smallest value if that is negative. It
  /// ends at `top`, or at the largest value if `top` is nil.
  func scale(width: Int, top: Double? = nil) -> ClosedRange<Double> {
    let shown = values.suffix(width).compactMap { $0 }
    let lower = min(shown.min() ?? 0, 0)
    return lower...max(top ?? shown.max() ?? 0, lower)
  }

  /// Returns a graph of the last `width` values, the latest on the right. Each value is a block whose height is the value's place in
  /// `scale`; an unknown value is a blank.
  func graph(width: Int, scale: ClosedRange<Double>, isUnicode: Bool) -> String {
    let blocks = Array(isUnicode ? "▁▂▃▄▅▆▇█" : "_.-:=+*#")
    let length = scale.upperBound - scale.lowerBound
    let shown = values.suffix(width)
    let characters = shown.map { value -> Character in
      guard let value else { return " " }
      // The largest doubles have no finite difference.
      let height = (value - scale.lowerBound) / length * Double(blocks.count)
      guard height.isFinite else { return blocks[0] }
      return blocks[Int(min(max(height, 0), Double(blocks.count - 1)))]
    }
    return String(repeating: " ", count: max(width - characters.count, 0)) + String(characters)
  }
}
