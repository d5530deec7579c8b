import CLinux

/// Gives whole pages of freed memory back to the system (malloc_trim(3)), for a wait of minutes.
///
/// glibc does so by itself at the end of the heap only, and a TLS handshake leaves what stays above what it freed.
package func returnFreeMemory() {
  _ = malloc_trim(0)
}
