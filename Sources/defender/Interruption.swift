import CLinux
import Dispatch
import Glibc

/// Returns a stream of the signals SIGINT, SIGTERM and SIGHUP, so that a command can stop what it started.
///
/// Lost output yields SIGPIPE. From now on, these signals don't end the process by themselves. SIGHUP isn't
/// handled if nohup has made the process ignore it.
func interruptions() -> AsyncStream<Int32> {
  let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
  let handled = [SIGINT, SIGTERM] + (clinux_is_ignored(SIGHUP) == 0 ? [SIGHUP] : [])
  for signal in handled {
    // Dispatch sources are thread-safe but not declared as Sendable.
    nonisolated(unsafe) let source = DispatchSource.makeSignalSource(signal: signal)
    unsafe source.setEventHandler {
      // Retains the source, which would otherwise be cancelled.
      _ = unsafe source
      continuation.yield(signal)
    }
    unsafe source.activate()
  }
  LostOutput.whenNoted { continuation.yield(SIGPIPE) }
  return signals
}
