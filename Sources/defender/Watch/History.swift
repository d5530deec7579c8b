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

  /// The smallest and the largest value of a graph: 0, or a negative value, and `top`, or the largest value of those that fit
  /// into `width`.
  func scale(width: Int, top: Double? = nil) -> ClosedRange<Double> {
    let shown = values.suffix(width).compactMap { $0 }
    let lower = min(shown.min() ?? 0, 0)
    return lower...max(top ?? shown.max() ?? 0, lower)
  }

  /// Returns a graph of the last `width` values, the latest on the right: blocks whose height is the place of the value in
  /// `scale`. An unknown value is a blank.
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
