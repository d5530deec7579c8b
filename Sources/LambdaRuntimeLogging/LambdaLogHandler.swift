// The package trait. Without it, this package doesn't depend on swift-log, and this module is empty.
#if SwiftLog
  public import LambdaRuntime
  public import Logging

  extension LoggingSystem {
    /// Makes all loggers of swift-log write to the log of a function. Call it once, in the closure of `serveAndExit`:
    ///
    /// ```swift
    /// serveAndExit { startup in
    ///   LoggingSystem.bootstrap(startup.log)
    ///   return MyFunction()
    /// }
    /// ```
    ///
    /// Lines written during an invocation contain its request ID. `metadataProvider` adds metadata to each line, as swift-log describes.
    public static func bootstrap(_ log: Log, metadataProvider: Logger.MetadataProvider? = nil) {
      bootstrap(
        { label, provider in LambdaLogHandler(label: label, log: log, metadataProvider: provider) },
        metadataProvider: metadataProvider)
    }
  }

  /// A log handler for swift-log that writes to the log of a function. Metadata become fields of the line.
  public struct LambdaLogHandler: LogHandler {
    /// The metadata that each line of the logger contains.
    public var metadata: Logger.Metadata = [:]
    /// Provides further metadata for each line; nil if there are none.
    public var metadataProvider: Logger.MetadataProvider?
    /// The lowest level that the logger passes on. The default is the level of the function's log, which drops lower levels in any case.
    public var logLevel: Logger.Level
    private let label: String
    private let log: Log

    /// Creates the handler of the logger called `label`. Each line contains this name in the field `logger`.
    public init(label: String, log: Log, metadataProvider: Logger.MetadataProvider? = nil) {
      self.label = label
      self.log = log
      self.metadataProvider = metadataProvider
      logLevel = Logger.Level(log.level)
    }

    /// The value of ``metadata`` called `key`; nil if there is none.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    /// Writes a line with the message, the level and the fields of `event`, and with the metadata of the logger and its provider.
    public func log(event: LogEvent) {
      log.log(Log.Level(event.level), event.message.description, fields: fields(of: event))
    }

    /// Returns the fields in the order of their names. If the name of a value occurs twice, that of the event wins, then the provider's.
    private func fields(of event: LogEvent) -> [(String, LogValue)] {
      var all = metadata
      if let provided = metadataProvider?.get() { all.merge(provided) { _, provided in provided } }
      if let given = event.metadata { all.merge(given) { _, given in given } }
      var fields: [(String, LogValue)] = [("logger", .string(label))]
      if let error = event.error { fields.append(("error", .string("\(error)"))) }
      fields += all.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.description)) }
      return fields
    }
  }

  extension Log.Level {
    /// The level of a function's log that corresponds to a level of swift-log. `notice` becomes `info`.
    init(_ level: Logger.Level) {
      switch level {
      case .trace: self = .trace
      case .debug: self = .debug
      case .info, .notice: self = .info
      case .warning: self = .warn
      case .error: self = .error
      case .critical: self = .fatal
      }
    }
  }

  extension Logger.Level {
    init(_ level: Log.Level) {
      switch level {
      case .trace: self = .trace
      case .debug: self = .debug
      case .info: self = .info
      case .warn: self = .warning
      case .error: self = .error
      case .fatal: self = .critical
      }
    }
  }
#endif
