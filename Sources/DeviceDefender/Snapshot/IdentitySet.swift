/// The sockets seen in one dump: a set of numbers that keeps its memory from one dump to the next.
///
/// A dump of the kernel isn't one moment: it goes on bucket by bucket, and a socket that moves meanwhile is told of
/// twice (measured under churn: 5 of 477,000). Such a socket counts once. Open addressing in memory of its own, because
/// a `Set` of 100,000 numbers takes 3 MiB and an allocation each time it grows, and an array asks at each insertion
/// whether it has another owner.
@safe
struct IdentitySet: ~Copyable {
  /// A power of two of places; 0 marks a free one, and half of them are free at least.
  private var places: UnsafeMutableBufferPointer<UInt64>
  private var count = 0

  /// The number of places.
  var capacity: Int { unsafe places.count }

  init() {
    unsafe places = .allocate(capacity: 1_024)
    unsafe places.initialize(repeating: 0)
  }

  deinit { unsafe places.deallocate() }

  mutating func removeAll() {
    unsafe places.update(repeating: 0)
    count = 0
  }

  /// Whether `identity` wasn't there yet; true for 0, which stands for "unknown".
  @inline(__always)
  mutating func insert(_ identity: UInt64) -> Bool {
    if identity == 0 { return true }
    if unsafe count * 2 >= places.count { grow() }
    return place(identity)
  }

  @inline(__always)
  private mutating func place(_ identity: UInt64) -> Bool {
    let mask = unsafe places.count - 1
    // Fibonacci hashing: inode numbers and cookies come in runs.
    var index = Int(truncatingIfNeeded: (identity &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    // The mask keeps the index inside.
    while unsafe places[index] != 0 {
      if unsafe places[index] == identity { return false }
      index = (index &+ 1) & mask
    }
    unsafe places[index] = identity
    count &+= 1
    return true
  }

  @inline(never)
  private mutating func grow() {
    let old = unsafe places
    unsafe places = .allocate(capacity: old.count * 2)
    unsafe places.initialize(repeating: 0)
    count = 0
    for index in old.indices {
      let identity = unsafe old[index]
      if identity != 0 { _ = place(identity) }
    }
    unsafe old.deallocate()
  }
}
