/// The sockets seen in one dump: a set of numbers that keeps its memory from one dump to the next.
///
/// A dump of the kernel isn't one moment: it goes on bucket by bucket, and a socket that moves meanwhile is told of
/// twice (measured under churn: 5 of 477,000). Such a socket counts once. Open addressing in one array, because a
/// `Set` of 100,000 numbers takes 3 MiB and an allocation each time it grows.
struct IdentitySet {
  /// 0 marks a free place.
  private var places = [UInt64](repeating: 0, count: 1_024)
  private var count = 0

  mutating func removeAll() {
    for index in places.indices { places[index] = 0 }
    count = 0
  }

  /// Whether `identity` wasn't there yet; true for 0, which stands for "unknown".
  mutating func insert(_ identity: UInt64) -> Bool {
    if identity == 0 { return true }
    if count * 2 >= places.count { grow() }
    return place(identity)
  }

  private mutating func place(_ identity: UInt64) -> Bool {
    let mask = places.count - 1
    // Fibonacci hashing: inode numbers and cookies come in runs.
    var index = Int(truncatingIfNeeded: (identity &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while places[index] != 0 {
      if places[index] == identity { return false }
      index = (index + 1) & mask
    }
    places[index] = identity
    count += 1
    return true
  }

  private mutating func grow() {
    let old = places
    places = [UInt64](repeating: 0, count: old.count * 2)
    count = 0
    for identity in old where identity != 0 { _ = place(identity) }
  }
}
