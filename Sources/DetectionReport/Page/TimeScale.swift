import Glibc

/// Positions on the time axis that all charts of the page share.
struct TimeScale {
  struct Tick {
    /// The position in percent of the chart's width.
    let position: Double
    let label: String
    let isDay: Bool
  }

  private static let steps: [UInt64] = [
    60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 345_600, 604_800,
    1_209_600, 2_419_200, 7_257_600, 31_536_000,
  ]
  private static let maximumTicks = 6
  private static let maximumRows = 24

  let axis: TimeAxis

  /// The number of buckets, at least 1.
  var count: Int { max(axis.buckets.count, 1) }

  var ticks: [Tick] {
    let span = axis.end - axis.start
    guard span > 0, let step = Self.steps.first(where: { span / $0 <= Self.maximumTicks }) else { return [] }
    var ticks: [Tick] = []
    var time = (axis.start + step - 1) / step * step
    while time <= axis.end {
      let stamp = Stamp(time)
      let isDay = time % 86_400 == 0
      ticks.append(
        Tick(
          position: Double(time - axis.start) / Double(span) * 100, label: isDay ? stamp.day : stamp.clock,
          isDay: isDay))
      time += step
    }
    return ticks
  }

  /// The vertical lines of the ticks from `top` to `bottom`, and their labels below.
  func markup(top: Int, bottom: Int) -> HTML {
    ticks.map { tick -> HTML in
      let x = HTML.decimal(tick.position)
      let anchor: HTML = tick.position < 4 ? "s" : tick.position > 96 ? "e" : "m"
      return """
        <line class="grid" x1="\(x)%" x2="\(x)%" y1="\(top)" y2="\(bottom)"/><text class="tick \(anchor)\(
          tick.isDay ? " day" : "")" x="\(x)%" y="\(bottom + 16)">\(tick.label)</text>
        """
    }.joined()
  }

  /// Groups of buckets for the rows of a table, each with the time at which it begins.
  var rows: [(time: UInt64, buckets: Range<Int>)] {
    let span = axis.end - axis.start
    let fitting = Self.steps.first { $0 % axis.width == 0 && span / $0 < Self.maximumRows }
    let step = fitting ?? max(axis.width, (span / UInt64(Self.maximumRows) / axis.width + 1) * axis.width)
    guard !axis.buckets.isEmpty else { return [] }
    let perRow = Int(step / axis.width)
    var rows: [(UInt64, Range<Int>)] = []
    var first = axis.buckets.lowerBound
    while first < axis.buckets.upperBound {
      let end = min((first / perRow + 1) * perRow, axis.buckets.upperBound)
      rows.append((UInt64(first) * axis.width, first..<end))
      first = end
    }
    return rows
  }
}

/// The vertical axis of a chart, from the smallest value at the bottom to a round value at the top.
struct ValueScale {
  let bottom: Double
  let top: Double
  /// The values at which lines are drawn.
  let ticks: [Double]
  /// Whether the axis is logarithmic, because the values are far above the bound.
  let isLogarithmic: Bool
  private let height: Double

  /// Creates a scale for values from `smallest` to `largest`, on `height` pixels.
  init(smallest: Double, largest: Double, bound: Double?, height: Int) {
    self.height = Double(height)
    let largest = max(largest, bound ?? 0, 0)
    let smallest = min(smallest, bound ?? 0, 0)
    if let bound, bound >= 1, smallest >= 0, largest / bound > 100 {
      isLogarithmic = true
      bottom = 0
      var powers: [Double] = [1]
      while let last = powers.last, last < largest { powers.append(finite(last * 10)) }
      top = powers.last ?? 1
      let every = (powers.count + 3) / 4
      ticks = powers.enumerated().filter { (powers.count - 1 - $0.offset) % every == 0 }.map(\.element)
      return
    }
    isLogarithmic = false
    // Divided first, because the difference of two large numbers overflows.
    let step = roundStep(largest / 3 - smallest / 3)
    let first = (smallest / step).rounded(.down)
    let last = max((largest / step).rounded(.up), first + 1)
    (bottom, top) = (finite(first * step), finite(last * step))
    ticks = (0...8).map { first + Double($0) }.filter { $0 <= last }.map { finite($0 * step) }
  }

  /// Returns the distance of a value from the top in pixels.
  func y(_ value: Double) -> Double {
    let part =
      isLogarithmic
      ? log10(1 + max(value, 0)) / log10(1 + top) : (value / 2 - bottom / 2) / (top / 2 - bottom / 2)
    return height * (1 - min(max(part, 0), 1))
  }
}

/// Returns a value, or the nearest finite one.
private func finite(_ value: Double) -> Double {
  min(max(value, -Double.greatestFiniteMagnitude), Double.greatestFiniteMagnitude)
}

/// Returns 1, 2 or 5 times a power of ten that is at least `value`.
private func roundStep(_ value: Double) -> Double {
  guard value > 0, value.isFinite else { return 1 }
  let power = pow(10, log10(value).rounded(.down))
  return [1, 2, 5, 10].map { finite($0 * power) }.first { $0 >= value * 0.999_999 } ?? finite(10 * power)
}
