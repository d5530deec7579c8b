// The cross-built release for arm64 (lambda/packaging/arm64-sdk) uses the standard library of Swift 6.2.
#if STANDARD_LIBRARY_6_2
  extension Array {
    /// Appends the elements that `initializer` writes. A slower version of the method that Swift 6.3 adds (SE-0485).
    mutating func append<Failure>(
      addingCapacity capacity: Int,
      initializingWith initializer: (inout OutputSpan<Element>) throws(Failure) -> Void
    ) throws(Failure) {
      let buffer = UnsafeMutableBufferPointer<Element>.allocate(capacity: capacity)
      defer { unsafe buffer.deallocate() }
      var output = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
      try initializer(&output)
      let count = unsafe output.finalize(for: buffer)
      let written = unsafe UnsafeMutableBufferPointer(rebasing: buffer[..<count])
      unsafe append(contentsOf: written)
      unsafe written.deinitialize()
    }
  }
#endif
