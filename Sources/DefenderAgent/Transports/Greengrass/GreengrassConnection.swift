package import GreengrassIPC
package import Platform

extension IPCClient {
  /// Creates a client of the nucleus that started this process; nil if no nucleus did.
  package convenience init?(_ environment: Environment, log: Log, time: any Waiter) {
    self.init(
      environment, componentName: environment.value(.componentName), log: log, time: time)
  }
}
