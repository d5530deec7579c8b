import LambdaRuntimeAsync

// `AsyncProbe` handles the special events of the runtime's tests and echoes all others. Without it, this would be
// `serveAndExit { _ in AsyncEcho() }`, with a handler that returns `Response(json: event.bytes)`.
serveAndExit { startup in try await AsyncProbe(startup) }
