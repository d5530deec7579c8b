import Glibc

/// Logs `error` and ends the process with status 1.
package func exit(reporting error: some Error, to log: Log) -> Never {
  log.error("\(error)")
  Glibc.exit(1)
}
