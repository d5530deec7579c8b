import CLinux

/// Returns whole pages of freed memory to the system (malloc_trim(3)). Call it before a wait of minutes.
///
/// glibc does this automatically only at the end of the heap, and a TLS handshake leaves live allocations above the
/// memory that it frees.
package func returnFreeMemory() {
  _ = malloc_trim(0)
}
