/// The windows of statistical thresholds over all things of the input.
///
/// A window is evaluated as soon as every thing that sent a report in this window or in the one before has sent a report in a later
/// window. It is evaluated at the latest when the first report of the window after the next one arrives. So at most two windows of each
/// length are open, and each behavior needs 16 bytes per thing.
struct Fleet: Sendable {
  /// The progress of the windows of one length.
  struct Clock: Sendable {
    /// The length in milliseconds.
    let length: UInt64
    /// The oldest open window; nil before the first report.
    fileprivate(set) var oldest: UInt64?
    /// The number of things whose last report is in the oldest window, in the one before it, or in a later one.
    fileprivate var awaited = 0
    /// The number of those that have sent a report of a later window.
    fileprivate var passed = 0
    /// The number of windows with values that the current report closes: 0, 1 or 2.
    fileprivate(set) var closing = 0

    init(length: UInt64, oldest: UInt64? = nil) {
      self.length = length
      self.oldest = oldest
    }

    /// Whether the oldest window can't get another value.
    fileprivate func isOver(at window: UInt64) -> Bool {
      guard let oldest else { return false }
      return window >= oldest + 2 || awaited > 0 && passed == awaited
    }

    /// Adds a thing to the numbers of awaited and passed things, or removes it. `window` is the window of its last report.
    fileprivate mutating func count(_ window: UInt64, by change: Int) {
      guard let oldest, window + 1 >= oldest else { return }
      awaited += change
      if window > oldest { passed += change }
    }
  }

  /// The values of one behavior in the two open windows, by the indexes of the things.
  struct Values: Equatable, Sendable {
    /// Stands for a missing value. As the bits of a number, it is NaN, which is never stored; counts are limited to smaller values.
    static let none = UInt64.max

    let clock: Int
    fileprivate(set) var oldest: [UInt64] = []
    fileprivate(set) var next: [UInt64] = []

    init(clock: Int) { self.clock = clock }

    func value(of thing: Int, isNext: Bool) -> UInt64? {
      let values = isNext ? next : oldest
      guard thing < values.count, values[thing] != Self.none else { return nil }
      return values[thing]
    }

    mutating func set(_ value: UInt64?, of thing: Int, isNext: Bool) {
      if isNext { Self.set(value, of: thing, in: &next) } else { Self.set(value, of: thing, in: &oldest) }
    }

    private static func set(_ value: UInt64?, of thing: Int, in values: inout [UInt64]) {
      if thing >= values.count {
        values += Array(repeating: none, count: thing + 1 - values.count)
      }
      values[thing] = value ?? none
    }
  }

  private(set) var clocks: [Clock] = []
  private(set) var values: [Values] = []
  /// The names of the things by their indexes.
  private(set) var names: [String] = []
  /// The time of the last report of each thing, in milliseconds.
  private(set) var times: [UInt64] = []

  /// Returns the index of the values of a new behavior.
  mutating func appendBehavior(windowLength: UInt64) -> Int {
    let clock = clocks.firstIndex { $0.length == windowLength } ?? clocks.count
    if clock == clocks.count { clocks.append(Clock(length: windowLength)) }
    values.append(Values(clock: clock))
    return values.count - 1
  }

  /// Continues with the things of a saved state. `times` has the time of the last report of each.
  mutating func restore(_ names: [String], _ times: [UInt64], oldest: [UInt64: UInt64]) {
    (self.names, self.times) = (names, times)
    for index in clocks.indices {
      clocks[index].oldest = oldest[clocks[index].length]
      recount(index)
    }
  }

  mutating func restore(_ value: UInt64, of thing: Int, isNext: Bool, behavior: Int) {
    values[behavior].set(value, of: thing, isNext: isNext)
  }

  /// Notes a report of a thing, and determines the windows that it closes.
  mutating func advance(_ thing: Int, _ name: String, to time: UInt64) {
    let former = thing < times.count ? times[thing] : nil
    let last = max(former ?? time, time)
    for index in clocks.indices {
      let length = clocks[index].length
      if clocks[index].oldest == nil {
        clocks[index].oldest = time / length
        recount(index)
      }
      if let former { clocks[index].count(former / length, by: -1) }
      clocks[index].count(last / length, by: 1)
    }
    if former == nil {
      names.append(name)
      times.append(last)
    } else {
      times[thing] = last
    }
    for index in clocks.indices { close(index, at: time / clocks[index].length) }
  }

  /// Closes the windows that are over.
  private mutating func close(_ index: Int, at window: UInt64) {
    clocks[index].closing = 0
    while clocks[index].isOver(at: window), let oldest = clocks[index].oldest {
      if clocks[index].closing < 2 { clocks[index].closing += 1 }
      clocks[index].oldest =
        clocks[index].closing == 2 ? windowAfterEmpty(index, oldest, at: window) : oldest + 1
      recount(index)
    }
  }

  /// Returns the next window after the two that were closed. The windows between them and the result have no values, and the result
  /// is the one at which closing them one by one would stop. Only a damaged state has things that are far ahead of `window`.
  private func windowAfterEmpty(_ index: Int, _ oldest: UInt64, at window: UInt64) -> UInt64 {
    guard window < oldest + 2 else { return window - 1 }
    let length = clocks[index].length
    return times.lazy.map { $0 / length }.filter { $0 > oldest }.min() ?? oldest + 1
  }

  private mutating func recount(_ index: Int) {
    (clocks[index].awaited, clocks[index].passed) = (0, 0)
    for time in times { clocks[index].count(time / clocks[index].length, by: 1) }
  }

  /// The number of windows of a behavior that the current report closes.
  func closing(_ behavior: Int) -> Int { clocks[values[behavior].clock].closing }

  /// Removes and returns the values of a behavior in its oldest window, by thing.
  mutating func takeOldest(_ behavior: Int) -> [UInt64] {
    let oldest = values[behavior].oldest
    values[behavior].oldest = values[behavior].next
    values[behavior].next = []
    return oldest
  }

  /// Whether a report of a thing is late: its window was evaluated, or the thing has sent a report of a later window.
  func isLate(_ behavior: Int, _ thing: Int, at time: UInt64) -> Bool {
    let clock = clocks[values[behavior].clock]
    let window = time / clock.length
    return window < clock.oldest ?? 0 || window < times[thing] / clock.length
  }

  /// Changes the value of a thing in the window of `time`, which must not be late. `change` gets the former value.
  mutating func update(_ behavior: Int, _ thing: Int, at time: UInt64, _ change: (UInt64?) -> UInt64?) {
    let clock = clocks[values[behavior].clock]
    let isNext = time / clock.length != clock.oldest
    let former = values[behavior].value(of: thing, isNext: isNext)
    values[behavior].set(change(former), of: thing, isNext: isNext)
  }
}
