import CLinux
import Dispatch
import Glibc

/// SIGINT, SIGTERM and SIGHUP as something to wait for, so that what was started is also ended; yields each signal.
///
/// Output that nobody can get is such a signal, too: SIGPIPE. From here on these don't end the process by themselves.
/// SIGHUP is left alone where nohup has it ignored.
func interruptions() -> AsyncStream<Int32> {
  let (signals, continuation) = AsyncStream.makeStream(of: Int32.self)
  let handled = [SIGINT, SIGTERM] + (clinux_is_ignored(SIGHUP) == 0 ? [SIGHUP] : [])
  for signal in handled {
    // A dispatch source may be used from any thread; it just isn't declared so.
    nonisolated(unsafe) let source = DispatchSource.makeSignalSource(signal: signal)
    unsafe source.setEventHandler {
      // Holds the source, which would else be cancelled with its last reference.
      _ = unsafe source
      continuation.yield(signal)
    }
    unsafe source.activate()
  }
  LostOutput.whenNoted { continuation.yield(SIGPIPE) }
  return signals
}
