import Glibc

/// Ends the process with a status that says it failed, after a last line of log that says why.
package func exit(reporting error: some Error, to log: Log) -> Never {
  log.error("\(error)")
  Glibc.exit(1)
}
