/// The identities of the sockets seen in one dump. It reuses its memory in the next dump.
///
/// A kernel dump isn't atomic: it proceeds bucket by bucket, so a socket that moves meanwhile appears twice
/// (measured under churn: 5 of 477,000). This set lets each socket count once.
///
/// It is a hash table with open addressing in manually allocated memory. A `Set` of 100,000 numbers takes 3
/// MiB and reallocates each time it grows, and an array checks at each insertion that its storage isn't
/// shared.
@safe
struct IdentitySet: ~Copyable {
  /// The slots of the table; their number is a power of two. 0 marks a free slot, and at least half of them
  /// are free.
  private var places: UnsafeMutableBufferPointer<UInt64>
  private var count = 0

  /// The number of slots.
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

  /// Inserts `identity` and returns whether it is new; always true for 0, which means "unknown".
  @inline(__always)
  mutating func insert(_ identity: UInt64) -> Bool {
    if identity == 0 { return true }
    if unsafe count * 2 >= places.count { grow() }
    return place(identity)
  }

  @inline(__always)
  private mutating func place(_ identity: UInt64) -> Bool {
    let mask = unsafe places.count - 1
    // Fibonacci hashing, because inode numbers and cookies are often consecutive.
    var index = Int(truncatingIfNeeded: (identity &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    // The mask keeps the index in bounds.
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
