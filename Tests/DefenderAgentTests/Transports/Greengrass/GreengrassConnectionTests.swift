import DefenderAgent
import GreengrassIPC
import Platform
import TestSupport
import Testing

@Suite(.ownThreads) struct `The connection to the nucleus` {
  /// Without the variable, this process's control group names no component.
  @Test(arguments: ["the.component", nil])
  func `uses the component name in DEFENDER_COMPONENT_NAME`(name: String?) throws {
    let nucleus = try FakeNucleus(.lite, arguments: ["--component-name", "the.component"])
    let environment = Environment([
      "SVCUID": "forgotten", "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": nucleus.socketPath,
      "DEFENDER_COMPONENT_NAME": name ?? "",
    ])
    let client = try #require(IPCClient(environment, log: Log { _, _ in }, time: SystemWaiter(shutdown: nil)))
    let deadline = BootTime.now.advanced(by: name == nil ? .seconds(1) : .seconds(20))
    _ = try? client.call(.getConfiguration, until: deadline)
    #expect((client.issuedToken != nil) == (name != nil))
  }

  @Test func `exists only if a nucleus started the process`() {
    #expect(
      IPCClient(Environment(["SVCUID": "a"]), log: Log { _, _ in }, time: SystemWaiter(shutdown: nil)) == nil)
  }
}
