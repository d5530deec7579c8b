// The release for arm64 that is cross-built (lambda/packaging/arm64-sdk) has the standard library of Swift 6.2.
#if STANDARD_LIBRARY_6_2
  extension Array {
    /// Appends what `initializer` writes; the standard library's own from Swift 6.3 on (SE-0485), and slower.
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
